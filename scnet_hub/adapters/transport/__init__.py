"""The ways to a centre: SSH, the local machine, the embedded centre's socket. The only room with asyncssh."""
