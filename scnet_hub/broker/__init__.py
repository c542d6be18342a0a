"""The broker: the one door to the centres. A FastAPI app in its own process; a restart of hub or broker leaves the
other alone."""
