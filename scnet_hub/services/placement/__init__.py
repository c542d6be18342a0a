"""Decides where a request goes, and records why."""
