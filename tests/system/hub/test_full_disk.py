"""Tests a hub whose disk is full: a stop is sent to the broker or refused with a sentence, never accepted and lost; and
people are not redirected in circles."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.hub.labs import Lab, LabBroker, LabHub, serve


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of its own, of 12 MB. Mounting one needs root, as the tests of the testbed do."""
    folder = tmp_path_factory.mktemp("disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, disk: Path) -> Iterator[LabHub]:
    made = LabHub(tmp_path_factory.mktemp("hub"), LabBroker(), state=disk)
    made.start()
    yield made
    made.stop()
    made.broker.server.shutdown()


def fill(disk: Path) -> Path:
    """To the last byte."""
    file = disk / "filler"
    with file.open("wb", buffering=0) as out:
        for size in (1 << 16, 1 << 10, 1):
            try:
                while out.write(b"x" * size):
                    pass
            except OSError:
                continue
    assert os.statvfs(disk).f_bavail == 0
    return file


def ready(hub: LabHub) -> str:
    """Starts ada's server; its session."""
    before = set(hub.broker.sessions)
    hub.until(lambda: not hub.server())
    hub.begin()
    hub.until(lambda: set(hub.broker.sessions) - before)
    (session,) = set(hub.broker.sessions) - before
    hub.broker.ready(session, serve(Lab))
    hub.until(lambda: hub.server().get("ready"))
    return session


def test_a_stop_on_a_full_disk_reaches_the_broker_and_says_what_could_not_be_done(hub: LabHub, disk: Path) -> None:
    session = ready(hub)
    filler = fill(disk)
    answer = hub.api.delete("users/ada/server")
    assert answer.status_code == 507 and "is being stopped at its centre" in answer.json()["message"], answer.text
    assert "can't be written (No space left on device)" in answer.json()["message"]
    assert hub.broker.calls[-2:] == ["start ada", f"stop {session}"]
    assert "/user/ada/" in hub.routes  # not to the hub, which would send on to the server that it still has
    filler.unlink()
    assert hub.api.delete("users/ada/server").status_code in (202, 204)
    hub.until(lambda: not hub.server())
    assert "/user/ada/" not in hub.routes


def test_a_stop_that_nobody_can_keep_is_refused(hub: LabHub, disk: Path) -> None:
    session = ready(hub)
    filler = fill(disk)
    hub.broker.away = True
    answer = hub.api.delete("users/ada/server")
    assert answer.status_code == 507 and "The session was not stopped" in answer.json()["message"], answer.text
    assert hub.broker.sessions[session]["live"] and hub.server().get("ready") and "/user/ada/" in hub.routes
    hub.broker.away = False
    filler.unlink()
    assert hub.api.delete("users/ada/server").status_code in (202, 204)
    assert f"stop {session}" in hub.broker.calls


def test_a_session_that_ends_while_the_disk_is_full_keeps_its_address(hub: LabHub, disk: Path) -> None:
    """What the hub can't write down, it does not half do: the address leads to the dead server, not round in
    circles."""
    session = ready(hub)
    filler = fill(disk)
    hub.broker.move(session, state="ended", live=False, end_reason="Its time was over.")
    answer = hub.api.delete("users/ada/server")
    assert answer.status_code == 507
    assert "/user/ada/" in hub.routes
    filler.unlink()
    assert hub.api.delete("users/ada/server").status_code in (202, 204)
    hub.until(lambda: not hub.server())
