"""Commands for people who run sessions. One file for each noun."""
