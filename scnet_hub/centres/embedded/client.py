"""The commands in an embedded centre's `bin`: carries argv, input, folder and environment to its socket, prints the answer.

Started as `python -ISE client.py SOCKET COMMAND [ARGUMENT...]`; standard library only, few imports: a command takes about
as long as the interpreter's start. It decides nothing; `faces.py` in the daemon reads the arguments.
"""

import json
import os
import socket
import sys

PASSED_ON = ("SLURM_TIME_FORMAT", "TZ")


def main(path: str, argv: list[str]) -> int:
    submits = argv[0] == "sbatch"
    environment = dict(os.environ) if submits else {key: os.environ[key] for key in PASSED_ON if key in os.environ}
    request = {"argv": argv, "stdin": None, "cwd": os.getcwd(), "env": environment}
    try:
        answer = json.loads(ask(path, json.dumps(request).encode()))
        if answer["code"] is None:  # the script comes from the input; not read before, for it may never end
            request["stdin"] = sys.stdin.buffer.read().decode(errors="surrogateescape")
            answer = json.loads(ask(path, json.dumps(request).encode()))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{argv[0]}: error: Unable to contact slurm controller (connect failure): {error}\n")
        return 1
    sys.stdout.write(answer["stdout"])
    sys.stderr.write(answer["stderr"])
    return int(answer["code"])


def ask(path: str, request: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(path)
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        pieces = []
        while piece := connection.recv(65536):
            pieces.append(piece)
        return b"".join(pieces)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
