"""Usage records become charges, and charges stay right when records change."""
