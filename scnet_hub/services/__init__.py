"""Does the federation's work: transactions and calls to centres, one room per subject."""
