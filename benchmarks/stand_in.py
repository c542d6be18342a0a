"""Stands in for a single-user server on a compute node: tells stock JupyterHub its port, as batchspawner's wrapper
does, and answers.

Runs as `python3 -I -S`, so that hundreds fit on one machine.
"""

import os
import socket

door = socket.create_server(("", 0))
news = b'{"port": %d}' % door.getsockname()[1]
host, port = os.environ["JUPYTERHUB_API_URL"].split("/")[2].split(":")
head = (
    f"POST /hub/api/batchspawner HTTP/1.0\r\nHost: {host}\r\nAuthorization: token "
    f"{os.environ['JUPYTERHUB_API_TOKEN']}\r\n"
)
with socket.create_connection((host, int(port)), 60) as hub:
    hub.sendall(head.encode() + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(news) + news)
    hub.recv(4096)
while True:
    caller, _ = door.accept()
    with caller:
        caller.recv(65536)
        caller.sendall(b"HTTP/1.0 200 OK\r\nX-JupyterHub-Version: 6.1.1\r\nContent-Length: 0\r\n\r\n")
