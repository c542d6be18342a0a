"""The hub's own pages. One page a file."""
