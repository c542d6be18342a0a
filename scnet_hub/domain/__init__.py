"""Pure values and decisions. Nothing here waits, reads a clock, a file or the environment: `now` is an argument."""
