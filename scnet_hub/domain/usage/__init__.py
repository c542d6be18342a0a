"""Usage: records, segments, refunds, and whether a record can be believed."""
