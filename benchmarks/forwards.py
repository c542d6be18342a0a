"""A centre's forwards against plain `ssh -L`: throughput, websocket round trip, and 300 of them after a restart.

    python benchmarks/forwards.py [--rounds 11] [--json]

Both sides go to the same sshd on 127.0.0.1 with the same cipher, and take turns in one run, so that the machine's speed
cancels out; figures are medians, ratios those of the rounds' own. *ours*: a port of the master that the broker keeps.
*plain*: `ssh -N -L` by hand. A round carries 20 MB and 300 websocket messages of 1 kB each way. *restart*: a new broker
finds the living master with 300 forwards; *killed*: the master is killed, and started anew with all of them; both until
the first, the middle and the last carry data.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import reporting
import websockets

from scnet_hub.adapters.secret_files import write_secret
from scnet_hub.adapters.transport.ssh import SshTransport
from scnet_hub.adapters.transport.ssh_master import CIPHERS
from scnet_hub.errors import Unreachable
from tests.unit.adapters.transport.sshd import ME, Sshd, free_port, until

HOST = "127.0.0.1"
OTHERS = ("127.0.0.8", "127.0.0.9")  # the same port there: other nodes, as far as a forward can tell
SIZE = 20_000_000
MESSAGES = 300
MANY = 300
CIPHER = CIPHERS.split(",")[0]


# --- what runs on the "node": a process of its own, so that it shares no interpreter with the one that measures


async def serve() -> None:
    """Two servers, whose ports are printed: one sends SIZE bytes to whoever connects, one echoes websocket messages."""

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        block = bytes(1_000_000)
        with contextlib.suppress(OSError):
            for _ in range(SIZE // len(block)):
                writer.write(block)
                await writer.drain()
        writer.close()

    async def echo(connection: websockets.ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    source = await asyncio.start_server(send, HOST, 0)
    port = source.sockets[0].getsockname()[1]
    more = [await asyncio.start_server(send, other, port) for other in OTHERS]
    echoes = await websockets.serve(echo, HOST, 0, compression=None)
    print(port, next(iter(echoes.sockets)).getsockname()[1], flush=True)
    await asyncio.gather(*(server.serve_forever() for server in [source, *more]))


def megabytes_per_second(port: int) -> float:
    began, got, buffer = time.monotonic(), 0, bytearray(1 << 20)
    with socket.create_connection((HOST, port)) as connection:
        while count := connection.recv_into(buffer):
            got += count
    assert got == SIZE, f"{got} of {SIZE} bytes arrived"
    return got / (time.monotonic() - began) / 1e6


async def round_trip(port: int) -> float:
    """Milliseconds, the median of one connection's messages."""
    message, took = "x" * 1000, []
    async with websockets.connect(f"ws://{HOST}:{port}", compression=None) as connection:
        for _ in range(MESSAGES):
            began = time.perf_counter()
            await connection.send(message)
            await connection.recv()
            took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


@contextlib.asynccontextmanager
async def plain(sshd: Sshd, ports: list[int]) -> AsyncIterator[tuple[list[int], int]]:
    """`ssh -N -L` to these ports, as somebody would type it, with the same cipher: its ports here, and its process."""
    folder = sshd.folder / "plain"
    credential = sshd.authority.mint(ME, "plain", forwarding=True)
    write_secret(folder / "key", credential.key.export_private_key("openssh").decode())
    write_secret(folder / "key-cert.pub", credential.certificate.export_certificate("openssh").decode())
    here = [free_port() for _ in ports]
    ways = [word for mine, port in zip(here, ports, strict=True) for word in ("-L", f"{HOST}:{mine}:{HOST}:{port}")]
    settings = [
        f"Ciphers={CIPHER}",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "IdentityAgent=none",
        "LogLevel=ERROR",
    ]
    options = [word for setting in settings for word in ("-o", setting)]
    process = subprocess.Popen(
        ["ssh", "-F", "none", "-N", *ways, *options, "-i", str(folder / "key"), "-p", str(sshd.port), f"{ME}@{HOST}"]
    )
    try:
        await asyncio.to_thread(until, lambda: accepts(here[-1]), "plain ssh to listen")
        yield here, process.pid
    finally:
        process.terminate()
        process.wait()


def spread(clients: list[int], servers: list[int]) -> None:
    """ssh on one core, sshd on another, for both sides alike: where the system puts them is worth a factor of two
    otherwise."""
    cores = sorted(os.sched_getaffinity(0))
    for pids, core in ((clients, cores[0]), (servers, cores[-1])):
        for pid in pids:
            os.sched_setaffinity(pid, {core})


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
        return True
    return False


def carries(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1) as connection:
        return bool(connection.recv(1))
    return False


def way_out(sshd: Sshd) -> SshTransport:
    return SshTransport(sshd.spec(network='sessions = "forward"'), sshd.means(), never=())


async def compare(sshd: Sshd, way: SshTransport, source: int, echoes: int, rounds: int) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {name: [] for name in ("ours_MB_s", "plain_MB_s", "ours_ms", "plain_ms")}
    ours = [(await way.forward(HOST, port))[1] for port in (source, echoes)]
    async with plain(sshd, [source, echoes]) as (theirs, pid):
        spread([pid, *way.forwards.master.left_over()], [one.pid for one in sshd.sessions()])
        for number in range(rounds + 1):  # the first round warms up and is not counted
            sides = {"ours": ours, "plain": theirs}
            for name in sorted(sides, reverse=bool(number % 2)):
                speed = await asyncio.to_thread(megabytes_per_second, sides[name][0])
                delay = await round_trip(sides[name][1])
                reporting.note(f"round {number} {name}: {speed:.0f} MB/s, {delay:.3f} ms")
                if number:
                    took[f"{name}_MB_s"].append(speed)
                    took[f"{name}_ms"].append(delay)
    return took


async def restart(sshd: Sshd, source: int) -> dict[str, float]:
    """Seconds after the broker's and after the master's end until MANY forwards stand again."""
    way = way_out(sshd)
    idle = [(HOST, 40000 + number) for number in range(MANY - 3)]
    first, middle, last = ((host, source) for host in (HOST, *OTHERS))
    wanted = [first, *idle[: MANY // 2], middle, *idle[MANY // 2 :], last]
    await way.keep(wanted)
    probes = [(await way.forward(*one))[1] for one in (first, middle, last)]
    await way.close()
    began = time.monotonic()
    way = way_out(sshd)
    await way.keep(wanted)
    assert all([await asyncio.to_thread(carries, port) for port in probes])
    took = {"restart_s": time.monotonic() - began}
    (master,) = way.forwards.master.left_over()
    began = time.monotonic()
    os.kill(master, signal.SIGKILL)
    took["killed_s"] = await stand(way, wanted, probes) - began
    await way.end()
    return took


async def stand(way: SshTransport, wanted: list[tuple[str, int]], probes: list[int]) -> float:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(Unreachable):
                await way.keep(wanted)
                if all([await asyncio.to_thread(carries, port) for port in probes]):
                    return time.monotonic()
            await asyncio.sleep(0.005)


async def measure(rounds: int) -> dict[str, object]:
    node = await asyncio.create_subprocess_exec(sys.executable, __file__, "--serve", stdout=asyncio.subprocess.PIPE)
    assert node.stdout
    try:
        source, echoes = (int(word) for word in (await node.stdout.readline()).split())
        with tempfile.TemporaryDirectory(prefix="sc-") as folder:
            sshd = Sshd(Path(folder)).start(f"Ciphers {CIPHERS}")
            way = way_out(sshd)
            try:
                direct = [await asyncio.to_thread(megabytes_per_second, source), await round_trip(echoes)]
                took = await compare(sshd, way, source, echoes, rounds)
                await way.close()
                again = [await restart(sshd, source) for _ in range(3)]
            finally:
                await way.end()
                sshd.stop()
    finally:
        node.kill()
        await node.wait()
    medians = {name: statistics.median(values) for name, values in took.items()}
    return {
        **{name: round(value, 3) for name, value in medians.items()},
        "throughput_ratio": ratio(took["ours_MB_s"], took["plain_MB_s"]),
        "round_trip_ratio": ratio(took["ours_ms"], took["plain_ms"]),
        "direct_MB_s": round(direct[0]),
        "direct_ms": round(direct[1], 3),
        **{name: round(statistics.median(one[name] for one in again), 3) for name in again[0]},
        "forwards": MANY,
        "rounds": rounds,
        "cipher": CIPHER,
        "all": {name: [round(value, 3) for value in values] for name, values in took.items()},
    }


def ratio(ours: list[float], theirs: list[float]) -> float:
    """The median over the rounds: both sides of a round met the same machine."""
    return round(statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True)), 3)


def main() -> None:
    parser = reporting.arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return
    report = asyncio.run(measure(options.rounds))
    reporting.show(report, as_json=options.json)


if __name__ == "__main__":
    main()
