"""The broker: the only way from people and the hub to the centres. It is a FastAPI app in its own process, so a restart
of the hub or of the broker does not affect the other."""
