"""Tests the transports to a centre on this machine: processes, the embedded centre's socket, files."""

import asyncio
import json
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from scnet_hub.adapters.transport.embedded import EmbeddedTransport
from scnet_hub.adapters.transport.factory import transport
from scnet_hub.adapters.transport.local import LocalTransport
from scnet_hub.adapters.transport.thread_pool import Pool, Starved
from scnet_hub.domain.commands import Command
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.errors import Garbled, Rejected, Unreachable, WrongFile


def sh(script: str, stdin: bytes = b"") -> Command:
    return Command(("/bin/sh", "-c", script), stdin)


async def test_exit_codes_are_data_and_input_arrives() -> None:
    done = await LocalTransport().run(sh("cat; echo oops >&2; exit 3", b"hello"))
    assert (done.code, done.stdout, done.stderr) == (3, "hello", "oops\n")


async def test_arguments_are_never_a_shells() -> None:
    done = await LocalTransport().run(Command(("/usr/bin/printf", "%s|", "$(id)", "a b", "")))
    assert done.stdout == "$(id)|a b||"


async def test_a_command_gets_a_small_environment_with_the_specs_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "s3cret")
    done = await LocalTransport({"SLURM_CONF": "/x"}, path=str(tmp_path)).run(Command(("/usr/bin/env",)))
    found = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert found["SLURM_CONF"] == "/x" and found["PATH"].startswith(f"{tmp_path}:")
    assert "JUPYTERHUB_API_TOKEN" not in found


async def test_the_specs_folder_of_commands_comes_first(tmp_path: Path) -> None:
    command = tmp_path / "squeue"
    command.write_text("#!/bin/sh\necho mine\n")
    command.chmod(0o755)
    done = await LocalTransport(path=str(tmp_path)).run(Command(("env", "A=b", "squeue")))
    assert done.stdout == "mine\n"


def still_alive(pids: Path) -> list[int]:
    """Those that were killed and are not gone within 10 s: a busy machine takes its time over it."""
    deadline = time.monotonic() + 10
    while left := [pid for pid in map(int, pids.read_text().split()) if alive(pid)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return left


async def test_a_hung_command_is_unreachable_and_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    began = time.monotonic()
    with pytest.raises(Unreachable, match=r"did not answer within 0.5 s"):
        await LocalTransport().run(sh(f"sleep 300 & echo $! $$ > {pids}; wait"), timeout=0.5)
    assert time.monotonic() - began < 20
    assert not still_alive(pids)


async def test_a_child_that_keeps_the_output_open_does_not_outlive_the_timeout(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with pytest.raises(Unreachable):
        await LocalTransport().run(sh(f"sleep 300 & echo $! > {pids}"), timeout=0.5)
    assert not still_alive(pids)


async def test_a_command_whose_asker_goes_away_is_killed_too(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    task = asyncio.create_task(LocalTransport().run(sh(f"echo $$ > {pids}; sleep 300")))
    for _ in range(500):
        if pids.exists() and pids.read_text():
            break
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(int(pids.read_text()))


async def test_an_asker_that_goes_away_while_the_command_starts_is_not_kept_waiting(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with asyncio.timeout(20):
        for turns in range(12):  # of the event loop, in one of which the process is there and its pipes are not
            task = asyncio.create_task(LocalTransport().run(sh(f"echo $$ >> {pids}; sleep 300 & wait")))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert not [pid for pid in (pids.read_text().split() if pids.exists() else ()) if alive(int(pid))]


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("argv", [("/no/such/program",), ("x\0y",), ("/etc/passwd",)])
async def test_a_program_that_cannot_be_started_is_unreachable(argv: tuple[str, ...]) -> None:
    with pytest.raises(Unreachable):
        await LocalTransport().run(Command(argv))


async def test_output_that_is_no_text_does_not_break_the_answer() -> None:
    done = await LocalTransport().run(sh("printf '\\377ok'"))
    assert done.stdout.endswith("ok")


# ---- files


async def test_a_put_file_is_private_whole_and_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    way = LocalTransport()
    await way.put(str(path), b"one")
    before = path.open("rb")
    await way.put(str(path), b"two", mode=0o640)
    with before:
        assert before.read() == b"one", "who reads the old file reads all of it"
    assert path.read_bytes() == b"two" and path.stat().st_mode & 0o777 == 0o640
    assert path.parent.stat().st_mode & 0o777 == 0o700 and path.parent.parent.stat().st_mode & 0o777 == 0o700
    assert [child.name for child in path.parent.iterdir()] == ["file"]


async def test_a_file_that_cannot_be_written_is_rejected_in_the_systems_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Rejected, match="could not be written"):
        await LocalTransport().put(str(tmp_path / "file" / "x"), b"")


async def test_the_end_of_a_file_is_read_and_none_is_empty(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * 5000 + "ünd".encode())
    way = LocalTransport()
    assert await way.tail(str(tmp_path / "log"), size=4) == "ünd"
    assert await way.tail(str(tmp_path / "log"), size=3) == "\ufffdnd"
    assert await way.tail(str(tmp_path / "none")) == ""


async def test_this_machines_addresses_need_no_tunnel() -> None:
    assert await LocalTransport().forward("127.0.0.1", 8888) == ("127.0.0.1", 8888)


# ---- the embedded centre's socket


@asynccontextmanager
async def listening(path: Path, reply: Callable[[bytes], bytes]) -> AsyncIterator[None]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(await reader.read()))
        writer.close()

    server = await asyncio.start_unix_server(answer, path=str(path))
    async with server:
        yield


async def test_a_question_is_carried_over_the_socket(short_path: Path) -> None:
    def reply(request: bytes) -> bytes:
        asked = json.loads(request)
        return json.dumps({"code": 4, "stdout": asked["stdin"] + " ".join(asked["argv"]), "stderr": "e"}).encode()

    async with listening(short_path / "s", reply):
        done = await EmbeddedTransport(str(short_path / "s")).run(Command(("squeue", "-h"), b"in:"))
    assert (done.code, done.stdout, done.stderr) == (4, "in:squeue -h", "e")


async def test_no_socket_a_dead_one_and_an_early_end_are_unreachable(short_path: Path) -> None:
    way = EmbeddedTransport(str(short_path / "s"))
    with pytest.raises(Unreachable, match="can't be reached"):
        await way.run(Command(("squeue",)))
    (short_path / "s").touch()
    with pytest.raises(Unreachable, match="can't be reached"):
        await way.run(Command(("squeue",)))
    (short_path / "s").unlink()
    async with listening(short_path / "s", lambda request: b""):
        with pytest.raises(Unreachable, match="without an answer"):
            await way.run(Command(("squeue",)))


async def test_a_silent_socket_is_unreachable_in_time(short_path: Path) -> None:
    release = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    server = await asyncio.start_unix_server(silent, path=str(short_path / "s"))
    with pytest.raises(Unreachable, match=r"within 0.2 s"):
        await EmbeddedTransport(str(short_path / "s")).run(Command(("squeue",)), timeout=0.2)
    release.set()
    server.close()


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"code": 0}', b'"x"'])
async def test_an_answer_that_is_none_is_garbled(short_path: Path, text: bytes) -> None:
    async with listening(short_path / "s", lambda request: text):
        with pytest.raises(Garbled):
            await EmbeddedTransport(str(short_path / "s")).run(Command(("squeue",)))


def test_the_spec_chooses_the_way() -> None:
    page = """
id = "a"
name = "A"
[transport]
{}
[[partition]]
name = "main"
cores = 4
[session]
python = "python"
directory = "/d"
"""
    first = transport(parse_centre(page.format('kind = "embedded"\nsocket = "/s"'), source="x"))
    assert isinstance(first, EmbeddedTransport) and first.socket == "/s"
    second = transport(parse_centre(page.format('kind = "local"\npath = "/p"\nenvironment = { A = "b" }'), source="x"))
    assert isinstance(second, LocalTransport) and (second.path, second.environment) == ("/p", {"A": "b"})


# ---- files that a job replaced


def _replaced(path: Path, kind: str) -> None:
    """Puts something else in the place of a job's log."""
    if kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a symbolic link":
        path.symlink_to(path.parent.parent / "secret")
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(path))
    else:
        path.mkdir()


@pytest.mark.parametrize("kind", ["a FIFO", "a symbolic link", "a folder", "a socket"])
async def test_a_log_that_is_no_regular_file_is_told_and_not_read(short_path: Path, kind: str) -> None:
    (short_path / "secret").write_text("t0ken")
    (short_path / "job").mkdir()
    _replaced(short_path / "job" / "log", kind)
    with pytest.raises(WrongFile, match=f"it is {kind}, not a regular file") as caught:
        await LocalTransport().tail(str(short_path / "job" / "log"))
    assert "t0ken" not in str(caught.value) and caught.value.problem()["status"] == 409


async def test_a_device_in_a_logs_place_is_not_read() -> None:
    with pytest.raises(WrongFile, match="it is a device"):
        await LocalTransport().tail("/dev/zero")


async def test_a_jobs_folder_that_is_a_link_is_neither_read_nor_written(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "log").write_text("t0ken")
    (tmp_path / "job").symlink_to(tmp_path / "other")
    way = LocalTransport()
    with pytest.raises(WrongFile, match="it is a symbolic link, not a folder"):
        await way.tail(str(tmp_path / "job" / "log"))
    with pytest.raises(WrongFile, match="it is a symbolic link, not a folder"):
        await way.put(str(tmp_path / "job" / "log"), b"{}")
    assert (tmp_path / "other" / "log").read_text() == "t0ken"


async def test_a_link_above_a_jobs_folder_is_the_centres_own(tmp_path: Path) -> None:
    (tmp_path / "data" / "job").mkdir(parents=True)
    (tmp_path / "home").symlink_to(tmp_path / "data")
    way = LocalTransport()
    await way.put(str(tmp_path / "home" / "job" / "log"), b"one")
    assert await way.tail(str(tmp_path / "home" / "job" / "log")) == "one"


async def test_what_stood_in_a_files_place_is_replaced_unopened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "start.json")
    await LocalTransport().put(str(tmp_path / "start.json"), b"{}")
    assert (tmp_path / "start.json").read_bytes() == b"{}" and [one.name for one in tmp_path.iterdir()] == [
        "start.json"
    ]


async def test_a_file_system_that_hangs_keeps_no_other_centre_waiting(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("x")
    release, way = threading.Event(), LocalTransport()
    way.__dict__["pool"] = Pool("files", threads=1, most=2, patience=0.1)
    hung = [asyncio.create_task(way.pool.run(release.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Unreachable, match="the file system does not answer: 2 such calls"):
        await way.tail(str(tmp_path / "log"))
    assert way.stuck() > 0 and await LocalTransport().tail(str(tmp_path / "log")) == "x"
    assert [type(one) for one in await asyncio.gather(*hung, return_exceptions=True)] == [Starved, Starved]
    way.pool.patience = 10
    release.set()
    assert await way.tail(str(tmp_path / "log")) == "x"
