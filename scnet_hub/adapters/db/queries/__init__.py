"""One module a noun: its rows, and the queries on them."""
