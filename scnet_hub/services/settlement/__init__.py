"""Closes months and keeps statements, disputes and their mails."""
