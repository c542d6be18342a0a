"""What runs on the compute node before the session's own program: read the 0600 file, call home, become the program.

Stdlib only and quick to start; whatever a server or kernel needs is imported after the call home's thread is on its way.
"""
