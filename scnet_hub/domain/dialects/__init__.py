"""The words of each scheduler: commands to send, answers to parse. No I/O."""
