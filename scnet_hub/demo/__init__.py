"""The whole federation on one machine: prepared, started, supervised and stopped by one command, `scnet demo`."""
