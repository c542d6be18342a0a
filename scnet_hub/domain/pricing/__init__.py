"""Computes costs: tariffs, rates, quotes and leases."""
