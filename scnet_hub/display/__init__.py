"""Words and charts for people, shared by pages, panels and commands."""
