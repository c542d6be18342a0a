"""The dialects of the schedulers: commands to send, answers to parse. No I/O."""
