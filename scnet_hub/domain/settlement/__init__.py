"""Computes what members owe each other: statements, netting, bills in FOCUS."""
