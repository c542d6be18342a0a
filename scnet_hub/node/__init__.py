"""Runs on the compute node before the session's own program: reads the 0600 file, calls home, becomes the program.

Standard library only and quick to start: anything else that a server or kernel needs is imported after the thread that
calls home has started.
"""
