"""Commands for the federation's operators. One noun a file."""
