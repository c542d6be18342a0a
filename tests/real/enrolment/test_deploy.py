"""Tests `scnet centres deploy` at a real centre: the environment arrives, works on a node before people use it, and is
replaced safely."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scnet_hub.domain.standard.centre import CentreSpec, parse_centre
from scnet_hub.enrolment import deploy as deploying
from scnet_hub.enrolment.findings import Problem
from scnet_hub.enrolment.visit import script, visiting
from tests.real.testbed import Testbed
from tests.unit.adapters.transport.sshd import ME, Sshd

pytestmark = pytest.mark.slow
PLACE = "/opt/scnet-deployed"
Json = dict[str, Any]


@pytest.fixture
def page(alpha: Testbed, tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "a.toml"
    path.write_text(alpha.page("a").read_text().replace("/opt/scnet/session/", f"{PLACE}/session/"))
    alpha.at("a", ["install", "-d", "-o", "scnet", PLACE], check=True)
    yield path
    alpha.at("a", ["rm", "-rf", PLACE], check=True)


def deploy(testbed: Testbed, page: Path, *words: str) -> tuple[int, Json, str]:
    argv = [
        sys.executable,
        "-c",
        "from scnet_hub.cli import main; main()",
        "centres",
        "deploy",
        str(page),
        "--home",
        str(testbed.folder),
    ]
    done = subprocess.run([*argv, "--json", *words], capture_output=True, text=True, timeout=600)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def at(testbed: Testbed, script: str) -> str:
    return testbed.at("a", ["sh", "-c", script], check=True, timeout=120).stdout.strip()


def test_a_place_that_cannot_be_written_names_the_one_command_for_its_admin(alpha: Testbed, page: Path) -> None:
    at(alpha, f"chown root {PLACE}")
    code, document, _ = deploy(alpha, page)
    assert code == 1 and f"scnet can't write in {PLACE}" in document["title"]
    assert document["hint"].endswith(f"sudo install -d -o scnet {PLACE}")
    at(alpha, f"rmdir {PLACE}; {document['hint'].split('sudo ')[1]}")
    assert deploy(alpha, page, "--dry-run")[0] == 0


def test_a_dry_run_says_what_would_be_done_and_does_nothing(alpha: Testbed, page: Path) -> None:
    code, document, _ = deploy(alpha, page, "--dry-run")
    assert (code, document["done"], document["link"]) == (0, False, f"{PLACE}/session")
    assert document["python"].startswith("/usr/bin/python3") and document["path"].startswith(f"{PLACE}/session-")
    assert at(alpha, f"ls {PLACE}") == ""


def test_what_is_there_and_not_ours_is_left_alone(alpha: Testbed, page: Path) -> None:
    at(alpha, f"mkdir -p {PLACE}/session/bin")
    code, document, _ = deploy(alpha, page)
    assert code == 1 and "was not made by SCNet Hub" in document["title"]


def test_an_environment_is_put_there_tried_and_replaced_while_a_session_stays_in_its_own(
    alpha: Testbed, page: Path
) -> None:
    code, document, said = deploy(alpha, page)
    assert (code, document["done"], document["tried"]["error"]) == (0, True, ""), said
    assert document["tried"]["kernel"] > 0 and document["size"] > 1e8
    assert at(alpha, f"readlink {PLACE}/session") == document["path"].rpartition("/")[2]
    assert at(alpha, f"ls {PLACE}").split() == ["session", document["path"].rpartition("/")[2]], "no archive is left"
    seen = alpha.at(
        "a/a2", [f"{PLACE}/session/bin/python", "-c", "import sys; print(sys.prefix)"], account="ada"
    ).stdout.strip()
    assert seen == document["path"], "a session stays in the environment that it began in"
    assert at(alpha, f"{PLACE}/session/bin/scnet --version").startswith("scnet, version")

    again = deploy(alpha, page)
    assert (again[0], again[1]["size"]) == (0, 0) and "exists already" in again[2]

    # another Python of the same version is another environment, with the same packages
    at(alpha, "cp /usr/bin/python3 /usr/local/bin/python3-other")
    code, other, said = deploy(alpha, page, "--python", "/usr/local/bin/python3-other")
    assert code == 0 and other["size"] < 1e7 and "with the packages of" in said, said
    assert at(alpha, f"readlink {PLACE}/session") == other["path"].rpartition("/")[2]
    assert document["path"].rpartition("/")[2] in at(alpha, f"ls {PLACE}"), "the one before is kept"
    used = int(at(alpha, f"du -sm {PLACE} | cut -f 1"))
    assert used < 1000, "packages are kept once"


def test_an_environment_that_does_not_work_on_a_node_is_never_put_into_use(alpha: Testbed, page: Path) -> None:
    deploy(alpha, page)
    before = at(alpha, f"readlink {PLACE}/session")
    python = at(alpha, f"readlink {PLACE}/session/bin/python3.*")
    at(
        alpha,
        f"cp {python} /usr/local/bin/python3-new; mv "
        f"{PLACE}/{before}/lib/python3.*/site-packages/jupyterlab/labapp.py /root/",
    )
    code, document, _ = deploy(alpha, page, "--python", "/usr/local/bin/python3-new")
    assert code == 1 and "does not work" in document["title"] and "labapp" in document["title"], document
    assert at(alpha, f"readlink {PLACE}/session") == before


# ---- without a centre


async def test_a_cut_upload_goes_on_where_it_ended(sshd: Sshd, tmp_path: Path) -> None:
    sshd.start()
    file, there = tmp_path / "archive", sshd.home / "archive"
    file.write_bytes(bytes(range(256)) * 40_000)
    there.write_bytes(file.read_bytes()[:1_000_000])
    told: list[str] = []
    async with visiting(sshd.state, centre(sshd)) as visit:
        visit.centre.transport.never = set()  # type: ignore[attr-defined]
        path, digest = await deploying.send(visit, file, str(there), told.append)
    assert there.read_bytes() == file.read_bytes() and path == str(there) and len(digest) == 64


async def test_a_disk_that_is_full_ends_an_upload_with_its_words(sshd: Sshd, tmp_path: Path) -> None:
    sshd.start()
    (tmp_path / "archive").write_bytes(b"x" * 100)
    (tmp_path / "cat").write_text("#!/bin/sh\necho 'cat: write error: No space left on device' >&2\nexit 1\n")
    (tmp_path / "cat").chmod(0o755)
    async with visiting(sshd.state, centre(sshd, path=str(tmp_path))) as visit:
        visit.centre.transport.never = set()  # type: ignore[attr-defined]
        with pytest.raises(Problem, match="No space left on device"):
            await deploying.send(visit, tmp_path / "archive", str(sshd.home / "archive"), lambda words: None)


def centre(sshd: Sshd, path: str = "") -> CentreSpec:
    people = f'mode = "certificate"\nreserved = []\naccounts = {{ ada = "{ME}" }}'
    return sshd.spec(identity=people, transport=f'path = "{path}"')


def test_an_environment_goes_when_nobody_can_be_in_it_but_never_the_one_before(tmp_path: Path) -> None:
    """Five deployments in a row; sessions of a day may still be in those that were left a moment ago."""
    link, minutes = tmp_path / "session", "1440"

    def switch(name: str) -> set[str]:
        note = tmp_path / f"session-{name}" / "share/scnet/environment.json"
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text("{}")
        text = script("say.sh") + script("switch.sh")
        subprocess.run(["sh", "-s", "w", link, note.parents[2], minutes], input=text, check=True, timeout=30)
        assert link.readlink() == Path(f"session-{name}")
        return {path.name.removeprefix("session-") for path in tmp_path.glob("session-*")}

    def left_long_ago(name: str, days: int) -> None:
        os.utime(tmp_path / f"session-{name}/.left", (time.time() - days * 86400,) * 2)

    (tmp_path / "session-notes").mkdir()  # somebody else's
    switch("a")
    switch("b")
    assert switch("c") == {"a", "b", "c", "notes"}, "a was left a moment ago"
    left_long_ago("a", 3)
    left_long_ago("b", 2)
    assert switch("c") == {"b", "c", "notes"}, "a went; b is the one before, however long ago"
    assert switch("b") == {"b", "c", "notes"} and not (tmp_path / "session-b/.left").exists()


@pytest.mark.parametrize(
    "python", ["python3", "/python", "/bin/python", "/opt/scnet/bin/python3.11", "/opt/scnet/session/python"]
)
def test_a_place_that_is_no_environments_is_refused(python: str) -> None:
    text = f'id = "a"\nname = "A"\n[transport]\nkind = "local"\n[session]\npython = "{python}"\ndirectory = "/d"\n'
    spec = parse_centre(text + '[[partition]]\nname = "p"\ncores = 1\n', source="a.toml")
    with pytest.raises(Problem, match=r"session\.python"):
        deploying.link_of(spec)
