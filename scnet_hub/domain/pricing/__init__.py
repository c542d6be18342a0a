"""Computes what something costs: tariffs, rates, quotes and leases."""
