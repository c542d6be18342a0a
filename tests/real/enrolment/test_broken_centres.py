"""Tests one real centre that is broken in one way after the other: `scnet centres check` reports each fault with its
cause, and is green without faults.

The centre is the tests' own, so that what is broken here disturbs nobody else. The command is the one that an operator
types.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.real import testbed as tb

pytestmark = pytest.mark.slow
Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Broken:
    """`page` is what is written there in place of what; `by` breaks the centre for a while; `off` seconds that our
    clock is off. `hop` must fail, and `words` stand in what it found or in what to try."""

    name: str
    hop: str
    words: tuple[str, ...]
    page: tuple[str, str] = ("", "")
    by: Callable[[tb.Testbed], AbstractContextManager[None]] = field(default=lambda testbed: nullcontext())
    off: int = 0


def fault(name: str, of: str = "") -> Callable[[tb.Testbed], AbstractContextManager[None]]:
    return lambda testbed: testbed.broken("a", name, of)


def there(breaks: str, mends: str) -> Callable[[tb.Testbed], AbstractContextManager[None]]:
    """By two shell scripts that its admin runs on the login node."""

    @contextmanager
    def broken(testbed: tb.Testbed) -> Iterator[None]:
        testbed.at("a", ["sh", "-c", breaks], check=True)
        try:
            yield
        finally:
            testbed.at("a", ["sh", "-c", mends], check=True)

    return broken


def instead(program: str, script: str) -> Callable[[tb.Testbed], AbstractContextManager[None]]:
    """A wrapper of the centre's own around a program."""
    path = f"/usr/local/bin/{program}"
    return there(f"printf '%s\\n' '#!/bin/sh' '{script}' >{path} && chmod 755 {path}", f"rm -f {path}")


HUP = 'kill -s HUP "$(cat /run/sshd.pid)"'
KEY = "/etc/ssh/ssh_host_ed25519_key"
NEW_KEY = (
    f"cp -p {KEY} /root/key && ssh-keygen -q -t ed25519 -N '' -f /root/other && install -m 600 /root/other "
    f"{KEY} && {HUP}"
)
OLD_KEY = f"mv /root/key {KEY} && rm /root/other* && {HUP}"
CA = "/etc/ssh/federation_ca.pub"
OTHER_CA = f"cp -p {CA} /root/ca && ssh-keygen -q -t ed25519 -N '' -f /root/other && cat /root/other.pub >{CA}"

BROKEN = (
    Broken(name="its name does not "
    "resolve", hop="name", words=("does not resolve",), page=('"10.90.0.11"', '"login.alpha.invalid"')),
    Broken(name="its port is closed", hop="port", words=("Connection refused", "sshd"), by=fault("sshd-kill")),
    Broken(
        name="it shows another host "
        "key", hop="host key", words=("is pinned", "changed its keys"), by=there(NEW_KEY, OLD_KEY),
    ),
    Broken(name="it asks for a second factor", hop="login", words=("second factor",), by=fault("mfa-on")),
    Broken(
        name="it does not trust the federation", hop="login", words=("TrustedUserCAKeys",),
        by=there(OTHER_CA, f"mv /root/ca {CA}; rm /root/other*"),
    ),
    Broken(name="its clock is ahead, so certificates "
    "expired", hop="login", words=("ahead of ours", "expired", "NTP"), off=-3600),
    Broken(name="an account is unknown "
    "there", hop="account", words=("nobody1", "principals"), page=('ada = "ada"', 'ada = "nobody1"')),
    Broken(name="a question is asked at "
    "login", hop="shell", words=("reads standard input", "[ -t 0 ]"), by=fault("curious")),
    Broken(name="a home is over quota", hop="home", words=("/home/ada", "No space left on "
    "device"), by=fault("home-full", "ada")),
    Broken(
        name="there is no Python", hop="python", words=("does not run", "Python 3.11 or newer", "has none"),
        by=there("mkdir /root/hidden && mv /usr/bin/python3* "
        "/root/hidden", "mv /root/hidden/* /usr/bin && rmdir /root/hidden"),
    ),
    Broken(
        name="a partition lacks the GPUs that are promised", hop="partitions", words=("has no node of 8 GPUs",),
        page=("gpus = 4", "gpus = 8"),
    ),
    Broken(
        name="a wrapper around sbatch swallows the job's id", hop="job", words=("without a job id", "wrapper"),
        by=instead("sbatch", "/usr/bin/sbatch \"$@\" >/dev/null; echo Thank you for your job."),
    ),
    Broken(
        name="forwarding is forbidden", hop="way to a session", words=("forbid", "AllowTcpForwarding"),
        page=('sessions = "direct"', 'sessions = "forward"'), by=fault("forwarding-off"),
    ),
    Broken(
        name="nodes can't reach the hub", hop="call home", words=("can't reach http://10.90.0.1:1", 'hub = "forward"'),
        page=('hub = "direct"', 'hub = "direct"\nhub_url = "http://10.90.0.1:1"'),
    ),
    Broken(name="accounting is away", hop="scheduler", words=("database",), by=fault("dbd-kill")),
    Broken(name="the scheduler is down", hop="scheduler", words=("could not be asked", "controller"),
    by=fault("ctl-kill")),
)  # fmt: skip


def check(testbed: tb.Testbed, page: Path | str, *, off: int = 0) -> tuple[int, Json]:
    """Exit code and document of the command, whose clock is `off` seconds off."""
    code = "import sys, time; real, off = time.time, int(sys.argv.pop(1)); time.time = lambda: real() + off\n"
    code += "from scnet_hub.cli import main; main()"
    argv = [
        sys.executable,
        "-c",
        code,
        str(off),
        "centres",
        "check",
        str(page),
        "--home",
        str(testbed.folder),
        "--patience",
        "30s",
        "--json",
    ]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=240)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def by_name(document: Json) -> dict[str, Json]:
    return {finding["name"]: finding for finding in document["checks"]}


def states(document: Json) -> dict[str, str]:
    """By hop. A build that differs because somebody writes code beside the tests is in order."""
    return {name: "ok" if "another build" in one["found"] else one["state"] for name, one in by_name(document).items()}


def test_a_centre_in_order_is_green(alpha: tb.Testbed) -> None:
    code, document = check(alpha, "a")
    assert (code, document["ok"], document["account"]) == (0, True, "ada")
    assert set(states(document).values()) == {"ok"}, document
    assert len(document["checks"]) == 19


def test_a_talkative_centre_is_only_a_doubt(alpha: tb.Testbed) -> None:
    """A motd in every shell, and a wrapper around sbatch that talks before and after."""
    script = 'echo Charging project research.; /usr/bin/sbatch "$@"; code=$?; echo Good luck.; exit $code'
    with alpha.broken("a", "chatty"), instead("sbatch", script)(alpha):
        code, document = check(alpha, "a")
    found = states(document)
    assert (code, found.pop("shell"), found.pop("account")) == (0, "warn", "warn"), document
    assert set(found.values()) == {"ok"}, document


def test_nothing_of_a_check_is_left_behind(alpha: tb.Testbed) -> None:
    check(alpha, "a")
    left = alpha.at("a", ["sh", "-c", "ls -A /home/ada/.scnet; squeue -h"], check=True).stdout
    assert "scnet-check" not in left


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
def test_each_broken_centre_is_reported_with_its_cause(alpha: tb.Testbed, broken: Broken) -> None:
    text = alpha.page("a").read_text()
    assert broken.page[0] in text
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as page, broken.by(alpha):
        page.write(text.replace(*broken.page) if broken.page[0] else text)
        page.flush()
        code, document = check(alpha, page.name, off=broken.off)
    found = by_name(document)[broken.hop]
    assert (code, found["state"]) == (1, "fail"), document
    assert all(words in f"{found['found']} {found['hint']}" for words in broken.words), found
