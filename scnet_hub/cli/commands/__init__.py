"""Commands for people who run sessions. One noun a file."""
