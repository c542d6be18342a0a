"""What members owe each other: periods, statements, netting, bills in FOCUS."""
