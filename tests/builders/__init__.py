"""What tests build their worlds from: a clock and an event loop with virtual time, a centre in memory, a database,
pages."""
