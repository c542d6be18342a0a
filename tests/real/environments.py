"""A pytest plugin: the session environment as `scnet centres deploy` makes it, for tests at a real centre.

Its archives are kept beside the project's own environment, under names of all that they are made from: a second run
builds nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from scnet_hub.enrolment import environment
from scnet_hub.enrolment.visit import said, script

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".venv" / "share" / "scnet"
A_DAY = 86400


@pytest.fixture(scope="session")
def environments() -> Path:
    """Where built archives are kept: the folder `environments` of a state folder may lead here."""
    return KEPT / "environments"


@pytest.fixture(scope="session")
def session_environment(environments: Path) -> Path:
    """An environment that stands, on the system's own Python, which the testbed's centres have too. To be bound
    there."""
    return standing(environments)


def standing(folder: Path) -> Path:
    """The same outside of pytest. One process at a time makes it."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _standing(folder)


def _standing(folder: Path) -> Path:
    python = shutil.which("python3", path="/usr/bin")
    if python is None:
        raise RuntimeError("the testbed's centres need the system's Python: apt install python3")
    found = environment.Python.read(_sh("pythons.sh", python)[python])
    assert found, f"{python} does not run"
    wanted = environment.recipe(found)
    target = KEPT / f"session-{wanted.key}"
    facts = _sh("kin.sh", str(KEPT / "session"), wanted.key, wanted.packages)
    if facts.get("same") != str(target):
        _install(wanted, target, facts.get("kin", ""), folder)
    for old in KEPT.glob("session-*"):
        if old != target and time.time() - old.stat().st_ctime > A_DAY:  # a younger one may be in use beside us
            shutil.rmtree(old)
    return target


def _install(wanted: environment.Recipe, target: Path, kin: str, folder: Path) -> None:
    sums = []
    archives = [
        environment.ours(wanted, folder, print),
        *([] if kin else [environment.packages(wanted, folder, print)]),
    ]
    for archive in archives:
        copy = target.with_name(archive.name)
        shutil.copy(archive, copy)
        sums += [str(copy), hashlib.sha256(copy.read_bytes()).hexdigest()]
    facts = _sh(
        "install.sh",
        str(target),
        wanted.path,
        ".".join(map(str, wanted.python)),
        *sums[:2],
        kin,
        *(sums[2:] or ("", "")),
    )
    assert "done" in facts, facts


def _sh(name: str, *arguments: str) -> dict[str, str]:
    text = script("say.sh") + script(name)
    done = subprocess.run(["sh", "-s", "word", *arguments], input=text, capture_output=True, timeout=600, check=True)
    return said(done.stdout.decode(), "word")
