"""What the federation does: transactions and calls to centres, one room a subject."""
