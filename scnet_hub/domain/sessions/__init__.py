"""A session and its copies: names, requests, life cycle, start file."""
