"""The known state of a centre: its load, its health, and whether failed starts there keep other sessions away."""
