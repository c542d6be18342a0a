"""The whole federation on one machine: prepared, started, watched over and stopped by one command, `scnet demo`."""
