"""Leads a session from submission to its end: launch, call home, watch, second chance, stop."""
