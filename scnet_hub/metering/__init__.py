"""Metering: usage records come in, are kept, and are believed, or wait for an operator."""
