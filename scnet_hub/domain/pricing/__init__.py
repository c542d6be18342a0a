"""What something costs: tariffs, rates, quotes and leases."""
