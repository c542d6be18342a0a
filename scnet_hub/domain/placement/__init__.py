"""Decides where a request goes: offers, expected waits, the decision and its reasons."""
