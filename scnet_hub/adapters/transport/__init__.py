"""The ways to a centre: SSH, the local machine, the embedded centre's socket. asyncssh is imported only in this
room.
"""
