"""Tests the way to a shell at a centre, hop by hop, with a real sshd on 127.0.0.1: each fault is named with who must
fix it."""

from __future__ import annotations

import json
import os
import pickle
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scnet_hub.domain.standard.centre import CentreSpec
from scnet_hub.enrolment import environment_hops, login_hops
from scnet_hub.enrolment.findings import Finding, State, walk
from scnet_hub.enrolment.visit import visiting
from tests.unit.adapters.transport.sshd import ME, Sshd

OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGCidwULbuVi7uRN77NL4lsVJ+IaSSWQJkOKyINdGEAq"
HOPS = (*login_hops.HOPS, *environment_hops.HOPS)
HERE = {"PATH": "/usr/local/bin:/usr/bin:/bin"}


def spec(sshd: Sshd, *, account: str = "", python: str = sys.executable, **transport: str) -> CentreSpec:
    people = f'accounts = {{ ada = "{account}" }}\n' if account else ""
    session = f'python = "{python}"\ndirectory = "{sshd.home}/.scnet"\nhome = "{sshd.home}"'
    lines = "\n".join(f"{key} = {value}" for key, value in transport.items())
    return sshd.spec(transport=lines, identity=f'mode = "certificate"\nreserved = []\n{people}', session=session)


async def walked(sshd: Sshd, centre: CentreSpec, *, until: str = "account") -> dict[str, Finding]:
    names = [hop.name for hop in HOPS]
    async with visiting(sshd.state, centre) as visit:
        # whoever runs the tests may be root, whom a real centre never lets in
        visit.centre.transport.never = set()  # type: ignore[attr-defined]
        visit.shell_patience = 3
        return {finding.name: finding async for finding in walk(visit, HOPS[: names.index(until) + 1])}


@pytest.fixture
def nobody_home() -> Iterator[int]:
    """A port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def mute() -> Iterator[socket.socket]:
    """A port that takes connections; what it says is the test's business."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


async def test_a_centre_in_order_is_walked_to_its_end(sshd: Sshd) -> None:
    sshd.start()
    found = await walked(sshd, spec(sshd, account=ME), until="home")
    assert {name: finding.state for name, finding in found.items()} == dict.fromkeys(found, State.OK), found
    assert not list(sshd.home.glob(".scnet/.scnet-check-*")), "nothing is left there"


async def test_a_name_that_does_not_resolve_is_said_and_the_rest_is_skipped(sshd: Sshd) -> None:
    found = await walked(sshd, spec(sshd, hosts='["login.no-such-centre.invalid"]'))
    assert found["name"].state is State.FAIL and "login.no-such-centre.invalid does not resolve" in found["name"].found
    assert {finding.state for name, finding in found.items() if name != "name"} == {State.SKIPPED}


async def test_a_closed_port_is_said(sshd: Sshd, nobody_home: int) -> None:
    found = await walked(sshd, spec(sshd, port=str(nobody_home)))
    assert found["name"].state is State.OK
    assert (
        found["port"].state is State.FAIL
        and "refused" in found["port"].found
        and "transport.port" in found["port"].hint
    )


async def test_a_port_of_another_service_is_said(sshd: Sshd, mute: socket.socket) -> None:
    import threading

    def greet() -> None:
        connection, _ = mute.accept()
        with connection:
            connection.sendall(b"220 mail.example ESMTP\r\n")

    threading.Thread(target=greet, daemon=True).start()
    found = await walked(sshd, spec(sshd, port=str(mute.getsockname()[1])))
    assert "not an SSH server" in found["port"].found and "ESMTP" in found["port"].found


async def test_one_login_node_that_is_off_is_a_doubt_where_another_answers(sshd: Sshd, short_path: Path) -> None:
    sshd.start()
    found = await walked(sshd, spec(sshd, hosts='["127.0.0.1", "login2.no-such-centre.invalid"]'), until="port")
    assert (found["name"].state, found["port"].state) == (State.WARN, State.WARN)
    assert "login2" in found["name"].found


async def test_a_wrong_host_key_stops_everything_and_shows_both(sshd: Sshd) -> None:
    sshd.start()
    found = await walked(sshd, spec(sshd, account=ME, host_keys=f'["{OTHER_KEY}"]'))
    assert found["host key"].state is State.FAIL
    assert found["host key"].found.count("SHA256:") == 2 and "nothing was sent" in found["host key"].found
    assert found["login"].state is found["account"].state is State.SKIPPED


async def test_a_login_that_is_refused_names_what_it_can_be(sshd: Sshd) -> None:
    sshd.allow("somebody-else")
    sshd.start()
    found = await walked(sshd, spec(sshd))
    assert found["host key"].state is State.OK and found["login"].state is State.FAIL
    assert "refused the federation's certificate" in found["login"].found and "principals" in found["login"].hint


async def test_an_unknown_account_of_a_person_is_told_from_the_federations_own(sshd: Sshd) -> None:
    sshd.start()
    found = await walked(sshd, spec(sshd, account="u4711"))
    assert found["login"].state is State.OK
    assert found["account"].state is State.FAIL and "u4711" in found["account"].found


async def test_an_unknown_account_of_the_federation_is_told_from_a_ca_that_is_not_trusted(sshd: Sshd) -> None:
    sshd.start()
    found = await walked(sshd, spec(sshd, user='"scnet-nobody"', account=ME))
    assert found["login"].state is State.FAIL and found["account"].state is State.OK
    assert "the CA is trusted there" in found["login"].found and "scnet-nobody" in found["login"].hint


async def test_a_second_factor_is_said(sshd: Sshd) -> None:
    sshd.start("AuthenticationMethods publickey,keyboard-interactive", "KbdInteractiveAuthentication yes", "UsePAM yes")
    found = await walked(sshd, spec(sshd))
    assert found["login"].state is State.FAIL and "second factor" in found["login"].found


def test_a_clock_that_is_off_is_told_from_a_refused_account(sshd: Sshd) -> None:
    """The whole check most of an hour behind the centre, in a process of its own: the centre sees certificates that
    expired."""
    sshd.start()
    assert "50 min ahead of ours" in words_off(sshd, -3000)["login"]
    assert "expired" in words_off(sshd, -3000)["login"]
    assert "not yet valid" in words_off(sshd, +3000)["login"]


def words_off(sshd: Sshd, seconds: int) -> dict[str, str]:
    page = sshd.folder / "page"
    page.write_bytes(pickle.dumps(spec(sshd)))
    code = (
        "import asyncio, json, pathlib, pickle, sys, time\n"
        "real = time.time; time.time = lambda: real() + int(sys.argv[3])\n"
        "from scnet_hub.enrolment import login_hops\n"
        "from scnet_hub.enrolment.findings import walk\n"
        "from scnet_hub.enrolment.visit import visiting\n"
        "async def main():\n"
        "    spec = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "    async with visiting(pathlib.Path(sys.argv[2]), spec) as visit:\n"
        "        visit.centre.transport.never = set()\n"
        "        print(json.dumps({f.name: f.found async for f in walk(visit, login_hops.HOPS[:4])}))\n"
        "asyncio.run(main())\n"
    )
    argv = [sys.executable, "-c", code, page, sshd.state, str(seconds)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert not done.returncode, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


async def test_a_clock_that_certificates_still_bear_is_said_too(sshd: Sshd, tmp_path: Path) -> None:
    tool(tmp_path, "date", "echo $(($(/bin/date +%s) + 300))")
    sshd.start()
    found = await walked(sshd, spec(sshd, path=f'"{tmp_path}"'))
    assert (
        found["clock"].state is State.FAIL
        and "5 min ahead of ours" in found["clock"].found
        and "NTP" in found["clock"].hint
    )


async def test_a_greeting_in_the_shell_is_a_doubt(sshd: Sshd) -> None:
    (sshd.home / ".bashrc").write_text("echo 'Welcome! Maintenance on Monday.'\n")
    sshd.start()
    found = await walked(sshd, spec(sshd, account=ME), until="home")
    assert found["shell"].state is State.WARN and "Maintenance on Monday" in found["shell"].found
    assert found["clock"].state is found["home"].state is State.OK


async def test_a_question_in_the_shell_is_a_failure_that_says_what_is_asked(sshd: Sshd) -> None:
    (sshd.home / ".bashrc").write_text(
        "read -r -p 'Do you accept the terms? ' answer\necho 'Do you accept the terms?'\n"
    )
    sshd.start()
    found = await walked(sshd, spec(sshd))
    assert (
        found["shell"].state is State.FAIL
        and "reads standard input" in found["shell"].found
        and "accept the terms" in found["shell"].found
    )


async def test_a_shell_that_hangs_is_told_from_a_centre_that_is_away(sshd: Sshd) -> None:
    (sshd.home / ".bashrc").write_text("sleep 60\n")
    sshd.start()
    found = await walked(sshd, spec(sshd))
    assert found["login"].state is State.FAIL and "no answer to a first command" in found["login"].found
    assert "start-up files" in found["login"].hint


@pytest.mark.parametrize("setting", ["LC_ALL=tr_TR.UTF-8", "LANG=zh_CN.GB18030", "TZ=Asia/Kathmandu"])
async def test_locale_and_time_zone_of_the_centre_make_no_difference(sshd: Sshd, setting: str) -> None:
    (sshd.home / ".bashrc").write_text(f"export {setting}\n")
    sshd.start()
    found = await walked(sshd, spec(sshd, account=ME), until="home")
    assert {finding.state for finding in found.values()} == {State.OK}, found


async def test_an_account_that_can_run_nothing_is_said(sshd: Sshd) -> None:
    sshd.start("ForceCommand echo 'This account is for file transfer.'; exit 1")
    found = await walked(sshd, spec(sshd))
    assert found["login"].state is State.FAIL and "can run no command" in found["login"].found


# ---- what a session finds there


async def test_a_home_that_is_not_there_is_said(sshd: Sshd) -> None:
    sshd.start()
    centre = spec(sshd, account=ME)
    moved = centre.session.model_copy(update={"home": "/no/such/home"})
    found = await walked(sshd, centre.model_copy(update={"session": moved}), until="home")
    assert found["home"].state is State.FAIL and "/no/such/home does not exist" in found["home"].found


async def test_a_home_over_its_quota_is_said_with_the_quotas_words(sshd: Sshd, tmp_path: Path) -> None:
    tool(tmp_path, "quota", "echo 'Filesystem blocks quota limit grace'; echo ' /dev/sda1 1000* 900 1000 6days'")
    sshd.start()
    found = await walked(sshd, spec(sshd, account=ME, path=f'"{tmp_path}"'), until="home")
    assert found["home"].state is State.FAIL and "over its quota: /dev/sda1 1000* 900" in found["home"].found


async def test_a_full_file_system_is_said(sshd: Sshd, tmp_path: Path) -> None:
    tool(tmp_path, "df", "echo header; echo '/dev/sda1 100000 99000 1000 99% /home'")
    sshd.start()
    found = await walked(sshd, spec(sshd, account=ME, path=f'"{tmp_path}"'), until="home")
    assert found["home"].state is State.FAIL and "1000 KiB free" in found["home"].found


async def test_no_session_environment_says_to_deploy_one(sshd: Sshd) -> None:
    sshd.start()
    found = await walked(sshd, spec(sshd, account=ME, python="/no/such/bin/python"), until="python")
    assert found["python"].state is State.FAIL and "does not run" in found["python"].found
    assert "scnet centres deploy b" in found["python"].hint


async def test_no_python_at_all_says_to_install_one_first(sshd: Sshd, tmp_path: Path) -> None:
    for name in (
        "sh",
        "rm",
        "mkdir",
        "mktemp",
        "cat",
        "wc",
        "chmod",
        "mv",
        "id",
        "date",
        "df",
        "tail",
        "awk",
        "timeout",
        "env",
        "tr",
        "cut",
    ):
        (tmp_path / name).symlink_to(which(name))
    sshd.start(f"SetEnv PATH={tmp_path} HOME={sshd.home}")
    found = await walked(sshd, spec(sshd, account=ME, python="/no/such/bin/python"), until="python")
    assert found["python"].state is State.FAIL
    assert "has none" in found["python"].hint and "hpc@beta.example" in found["python"].hint


async def test_an_environment_that_lacks_something_names_it(sshd: Sshd) -> None:
    sshd.start()
    found = await walked(sshd, spec(sshd, account=ME, python="/usr/bin/python3"), until="python")
    assert found["python"].state is State.FAIL and "can't import" in found["python"].found


def tool(folder: Path, name: str, script: str) -> None:
    """A program of the centre's own making, before the system's."""
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def which(name: str) -> str:
    import shutil

    found = shutil.which(name, path=HERE["PATH"])
    assert found, name
    return shlex.quote(os.path.realpath(found))
