"""Login nodes that answer in Slurm's captured words: `python login_nodes.py COUNT HOST_KEY`, all of them in this one
process.

Each is an SSH server of its own on a port of this machine; the ports are printed as JSON when all listen. A queue has
500 jobs on 50 nodes, after `tests/samples/slurm`; what is submitted waits there for ever.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from itertools import count, cycle, islice
from pathlib import Path

import asyncssh

SAMPLES = Path(__file__).resolve().parents[1] / "tests" / "samples" / "slurm"
JOBS, NODES = 500, 50


def sample(name: str) -> list[str]:
    """The lines that the program wrote to stdout."""
    return (SAMPLES / f"{name}.txt").read_text().split("---- stdout\n")[1].split("---- stderr\n")[0].splitlines()


def numbered(lines: list[str], separator: str, field: int, names: list[str]) -> str:
    """As many of these lines, again and again, as there are names, each with its own."""
    rows = [line.split(separator) for line in islice(cycle(lines), len(names))]
    return "".join(
        f"{separator.join([*row[:field], name, *row[field + 1 :]])}\n" for row, name in zip(rows, names, strict=True)
    )


QUEUE = numbered(sample("squeue_queue"), "|", 1, [str(number) for number in range(1000, 1000 + JOBS)])
WAITING = next(line for line in sample("squeue_queue") if "|Priority|" in line)
SINFO = numbered(sample("sinfo_nodes"), "|", 0, [f"n{number:03}" for number in range(NODES)])


class LoginNode(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_ca_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return False


class Slurm:
    """One centre's: what was submitted to it is all it remembers."""

    def __init__(self) -> None:
        self.ids = count(5000)
        self.submitted: list[str] = []

    async def __call__(self, process: asyncssh.SSHServerProcess[str]) -> None:
        argv = shlex.split(process.command or "")
        if "sh" in argv or "sbatch" in argv:
            await process.stdin.read()
        process.stdout.write(self.answer(argv))
        process.exit(0)

    def answer(self, argv: list[str]) -> str:
        if "sh" in argv:  # a file is put: the last word says that it was
            return f"\n{argv[-1]}\n"
        if "squeue" in argv:
            return QUEUE + "".join(self.submitted)
        if "sinfo" in argv:
            return SINFO
        if "sbatch" in argv:
            number = str(next(self.ids))
            self.submitted.append(numbered([WAITING], "|", 1, [number]))
            return f"{number}\n"
        return ""


async def main(nodes: int, host_key: str) -> None:
    listeners = [
        await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[host_key], server_factory=LoginNode, process_factory=Slurm()
        )
        for _ in range(nodes)
    ]
    print(json.dumps([listener.get_port() for listener in listeners]), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncssh.set_log_level("ERROR")
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
