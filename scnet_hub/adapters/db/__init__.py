"""The database. SQLAlchemy is imported only in this room."""
