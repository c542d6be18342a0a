"""The outside world: the database, transports to centres, files of secrets. What waits for something else is here."""
