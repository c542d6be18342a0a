"""Stands in for a session's first process and its single-user server: calls home, answers under its prefix, echoes over
a websocket.

Started as a centre's `session.python` would be (the start file is the last argument), by a script that runs it with
`python3 -I -S`: 7 MB and no imports worth waiting for, so that hundreds fit on one machine.
"""

import base64
import hashlib
import json
import socket
import sys
import threading
import time

VERSION = "6.1.1"  # of JupyterHub
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455


def message(*lines, keep="close"):
    return "\r\n".join([*lines, f"Connection: {keep}", "", ""]).encode()


def call_home(start, port):
    body = json.dumps(
        {"nonce": start["nonce"], "phase": "listening", "node": "", "host": start["host"], "port": port}
    ).encode()
    address, path = start["call_home"].removeprefix("http://").split("/", 1)
    host, _, number = address.partition(":")
    head = message(
        f"POST /{path} HTTP/1.1", f"Host: {address}", "Content-Type: application/json", f"Content-Length: {len(body)}"
    )
    pause = 0.2
    while True:
        try:
            with socket.create_connection((host, int(number or 80)), 20) as broker:
                broker.sendall(head + body)
                status = int(broker.recv(64).split()[1])
        except (OSError, ValueError, IndexError):
            status = 0
        if 200 <= status < 300:
            return
        if status in (404, 409, 410, 422):
            sys.exit(f"call home refused ({status})")
        time.sleep(pause)
        pause = min(pause * 1.6, 15)


def answer(caller):
    """One connection: one plain answer, or an echo for as long as it is open."""
    with caller, caller.makefile("rb") as stream:
        request = stream.readline()
        headers = {}
        while (line := stream.readline().strip()) and b":" in line:
            name, _, value = line.partition(b":")
            headers[name.strip().lower()] = value.strip()
        if headers.get(b"upgrade", b"").lower() == b"websocket":
            accepted = base64.b64encode(hashlib.sha1(headers[b"sec-websocket-key"] + MAGIC).digest()).decode()
            lines = ("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", f"Sec-WebSocket-Accept: {accepted}")
            caller.sendall(message(*lines, keep="Upgrade"))
            echo(caller, stream)
        elif request:
            body = b'{"version": "stand-in"}'
            head = message("HTTP/1.1 200 OK", f"X-JupyterHub-Version: {VERSION}", f"Content-Length: {len(body)}")
            caller.sendall(head + body)


def echo(caller, stream):
    """Frames of up to 125 bytes come back as they came."""
    while len(head := stream.read(2)) == 2:
        kind, size = head[0] & 0x0F, head[1] & 0x7F
        mask = stream.read(4)
        data = bytes(byte ^ mask[number % 4] for number, byte in enumerate(stream.read(size)))
        kind = 0xA if kind == 0x9 else kind  # a ping's answer is a pong
        caller.sendall(bytes([0x80 | kind, len(data)]) + data)
        if kind == 0x8:
            return


def main():
    with open(sys.argv[-1]) as file:
        start = json.load(file)
    door = socket.create_server((start["host"], 0))
    call_home(start, door.getsockname()[1])
    while True:
        caller, _ = door.accept()
        threading.Thread(target=answer, args=(caller,), daemon=True).start()


main()
