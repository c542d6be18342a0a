"""Computes the debts between members: statements, netting, bills in FOCUS."""
