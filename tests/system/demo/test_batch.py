"""Tests batch jobs on real centres of the demo, from a terminal: placed, run, followed, charged."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from scnet_hub.client import Client, batch_jobs
from scnet_hub.demo.browser import Browser
from scnet_hub.domain.addresses import PREFIX
from scnet_hub.errors import BadOption, NotFound

from .conftest import SCNET, Running, wait_for

Json = dict[str, Any]


@dataclass(frozen=True)
class Desk:
    """A person's terminal: their token, and a folder of their own that no centre knows."""

    client: Client
    token: str
    folder: Path

    def scnet(self, *words: str) -> subprocess.CompletedProcess[str]:
        env = {key: value for key, value in os.environ.items() if not key.startswith(("JUPYTERHUB_", "SCNET_"))}
        env |= {"SCNET_API_URL": self.client.url, "SCNET_TOKEN": self.token}
        return subprocess.run(
            [SCNET, *words], capture_output=True, text=True, timeout=120, env=env, cwd=self.folder, check=False
        )

    def json(self, *words: str) -> Json:
        found: Json = json.loads(self.scnet(*words, "--json").stdout)
        return found

    def start(self, *argv: str, **options: Any) -> batch_jobs.Job:
        return batch_jobs.start(self.client, argv, here=self.folder, walltime="5m", **options)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def desk(demo: Running, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """At ada's own machine, with a token from the hub's token page."""
    async with Browser(demo.url, "ada") as browser:
        await browser.log_in(demo.passwords["ada"])
        await browser.http.get("/hub/token")
        answer = await browser.http.post(
            "/hub/api/users/ada/tokens", params={"_xsrf": browser.xsrf("/hub/")}, json={"note": "desk"}
        )
        answer.raise_for_status()
        token = answer.json()["token"]
    with Client(demo.url + PREFIX, token) as client:
        yield Desk(client, token, tmp_path_factory.mktemp("desk"))


PROGRAM = """
import os, sys
print("at", os.environ["SCNET_CENTRE"], os.path.basename(os.getcwd()), sorted(os.listdir()), flush=True)
print(sys.argv[1:], open("in/words.txt").read(), sys.executable, os.environ["PYTHONUNBUFFERED"])
"""


def test_a_program_with_a_file_runs_at_a_centre_and_is_charged(demo: Running, desk: Desk) -> None:
    (desk.folder / "train.py").write_text(PROGRAM)
    (desk.folder / "in").mkdir()
    (desk.folder / "in" / "words.txt").write_text("数据")
    words = ["a b", "'\"$(id)`;#", "é\n", "", "--", "-x"]
    done = desk.scnet(
        "run",
        "--follow",
        "--cores",
        "2",
        "--walltime",
        "5m",
        "--file",
        "in/words.txt",
        "--",
        "python",
        "train.py",
        *words,
    )
    assert done.returncode == 0, done.stderr
    job = desk.json("jobs", "--all")["sessions"][0]
    first, _, second = done.stdout.partition("\n")
    assert first == f"at {job['centre']} {job['id']} ['in', 'train.py']"
    assert second.startswith(f"{words!r} 数据 /") and second.endswith(" 1\n")
    assert "would start now" in done.stderr and "credits for 5 min" in done.stderr
    assert (
        "Sent along: train.py." in done.stderr
        and "Submitted to" in done.stderr
        and "done: The program ended by itself." in done.stderr
    )
    charged = wait_for(lambda: (one := demo.operator.session(job["id"]))["state"] == "charged" and one)
    assert charged["charged"] >= 0 and charged["held"] == 0 and charged["cores"] == 2
    assert desk.scnet("logs", job["id"]).stdout == done.stdout
    assert job["name"] in desk.scnet("jobs", "--all").stdout


def test_a_failing_job_says_why(desk: Desk) -> None:
    (desk.folder / "bad.py").write_text("import sys; print('about to fail'); sys.exit(3)")
    done = desk.scnet("run", "--wait", "--walltime", "5m", "--", "python", "bad.py")
    assert done.returncode == 1
    assert "failed: The job failed" in done.stderr and "about to fail" in done.stderr


def test_a_program_that_is_not_there_is_named(desk: Desk) -> None:
    done = desk.scnet("run", "--wait", "--walltime", "5m", "--", "no-such-program")
    assert done.returncode == 1 and "no-such-program: no such program here" in done.stderr


def test_two_run_at_once_and_a_cancelled_one_ends_alone(desk: Desk) -> None:
    first, second = desk.start("sleep", "300"), desk.start("sleep", "300")
    wait_for(lambda: (first.state, second.state) == ("running", "running"))
    assert {one["id"] for one in desk.json("jobs")["sessions"]} == {first.id, second.id}
    answer = desk.json("stop", first.id, first.id, "nobodys")
    assert [one["id"] for one in answer["sessions"]] == [first.id]
    assert [one["code"] for one in answer["refused"]] == ["unknown-session"]
    assert first.wait(60).state == "stopped" and first.reason == "Stopped on request."
    assert second.state == "running"
    assert desk.scnet("stop", second.id).returncode == 0 and second.wait(60).state == "stopped"
    assert "has ended: Stopped on request." in desk.scnet("stop", second.id).stdout


def test_a_job_of_somebody_else_does_not_exist(demo: Running, desk: Desk) -> None:
    with demo.as_hub("grace") as grace:
        foreign = grace.post("sessions", json={"kind": "batch", "argv": ["sleep", "60"], "name": "mine"}).json()["id"]
        for words in (("stop", foreign), ("logs", foreign), ("logs", "--follow", foreign)):
            done = desk.scnet(*words)
            assert done.returncode == 1 and f"There is no session '{foreign}'" in done.stderr
        assert grace.delete(f"sessions/{foreign}").status_code == 202
        wait_for(lambda: not grace.get(f"sessions/{foreign}").json()["live"])


@pytest.mark.parametrize("name", ["a\nb", "a\0b", "a\x1b[31m", "x" * 300])
def test_an_odd_name_starts_nothing(desk: Desk, name: str) -> None:
    with pytest.raises(BadOption, match="name"):
        desk.start("true", name=name)


@pytest.mark.parametrize("files", [{"../x": ""}, {"/tmp/x": ""}, {"a\0": ""}, {"a": "!"}, {"a": "A" * 200_000}, ["a"]])
def test_odd_files_past_the_client_start_nothing(desk: Desk, files: Any) -> None:
    with pytest.raises(BadOption, match="files"):
        desk.client.submit(kind="batch", name="odd", argv=["true"], files=files)
    with pytest.raises(BadOption, match="256 KiB"):
        desk.client.submit(kind="batch", name="odd", argv=["true"], files={"a": "A" * 300_000})
    assert not desk.json("jobs")["sessions"]


def test_what_was_sent_lies_in_no_start_file_afterwards(demo: Running, desk: Desk) -> None:
    (desk.folder / "kept.txt").write_text("k3pt-s3cret")
    job = desk.start("cat", "kept.txt").wait(60)
    assert job.ok and job.log() == "k3pt-s3cret"
    wait_for(lambda: demo.operator.session(job.id)["state"] == "charged")
    started = [path for path in demo.home.rglob("start.json") if path.parent.name == job.id]
    assert [path.read_text() for path in started] == ["{}"]
    with pytest.raises(NotFound):
        desk.client.log("nobodys")
