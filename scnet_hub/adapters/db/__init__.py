"""The database: the only room with SQLAlchemy."""
