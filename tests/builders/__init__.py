"""What tests build their worlds from: a clock and an event loop that keeps to it, a centre in memory, a database,
pages."""
