"""One module for each noun: its rows, and the queries on them."""
