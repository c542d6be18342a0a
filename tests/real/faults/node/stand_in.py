"""Stands in for a lab's single-user server on a compute node: starts, calls home and answers like a real server, at a
tenth of its cost.

Every answer names the session and when it began, so that whoever asks through the proxy knows whom they reached.
"""

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from scnet_hub.node import call_home
from scnet_hub.node.start import enter, read

BORN = time.time()


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = json.dumps({"session": os.environ["SCNET_SESSION"], "born": BORN, "kernels": 0}).encode()
        self.send_response(200)
        self.send_header("X-JupyterHub-Version", "6.1.1")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_POST = do_GET

    def log_message(self, *words: object) -> None:
        """Says nothing."""


start = read(Path(sys.argv[1]))
enter(start)
host = call_home.own_address(start)
door = ThreadingHTTPServer((host, 0), Answers)
port = door.server_address[1]
threading.Thread(
    target=call_home.when_listening, args=(start, host, port), kwargs={"node": call_home.node_name()}, daemon=True
).start()
door.serve_forever()
