"""Pure values and decisions. Nothing here waits, or reads a clock, a file or the environment: `now` is an argument."""
