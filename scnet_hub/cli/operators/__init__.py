"""Commands for the federation's operators. One file for each noun."""
