"""Tests `scnet run`, `jobs`, `logs`, `cancel` on a broker that really runs the jobs: text for people, output for
scripts, exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from scnet_hub.errors import NoPlacement
from tests.builders.fakes.broker import FakeBroker

from .federation import run as scnet

Json = dict[str, Any]


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBroker]:
    monkeypatch.chdir(tmp_path)
    with FakeBroker() as fake:
        yield fake


def call(broker: FakeBroker, *words: str) -> Result:
    return scnet(*words, connect=broker.client)


def document(result: Result) -> Json:
    found: Json = json.loads(result.stdout)
    return found


def test_run_says_where_and_why_and_what_next(broker: FakeBroker) -> None:
    broker.hold = True
    result = call(broker, "run", "--cores", "2", "--name", "mine", "--", "true")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "s0  mine  queued at Alpha, partition cpu"
    assert lines[1].strip() == "Alpha starts it now"
    assert "scnet logs s0 --follow" in lines[2] and "scnet stop s0" in lines[2]


def test_run_sends_only_what_was_asked(broker: FakeBroker) -> None:
    asked = "--cores 4 --memory 8G --gpus 1 --walltime 2h --centre alpha --project p --name n --env K=V=W --env E="
    asked += " --second-chance no"
    call(broker, "run", *asked.split(), "--", "true")
    body = broker.payloads["s0"]
    assert body == {
        "kind": "batch", "name": "n", "argv": ["true"], "env": {"K": "V=W", "E": ""}, "cores": 4, "memory": "8G",
        "gpus": 1, "walltime": "2h", "centre": "alpha", "project": "p", "second_chance": "no",
    }  # fmt: skip


@pytest.mark.parametrize("dashes", [["--"], []])
def test_words_after_the_program_are_its_own(broker: FakeBroker, dashes: list[str]) -> None:
    argv = ["printf", "%s|", "--json", "--name", "x", "a b", "'\"$(id)`", "é\n数据", "", "--", "-f"]
    call(broker, "run", *dashes, *argv)
    assert broker.payloads["s0"]["argv"] == argv


def test_the_program_goes_along_by_itself_and_is_named(broker: FakeBroker) -> None:
    Path("train.py").write_text("print(open('in.txt').read())")
    Path("in.txt").write_text("data")
    result = call(broker, "run", "--wait", "--file", "./in.txt", "--", "python", "train.py")
    assert result.exit_code == 0 and "Sent along: train.py.\n" in result.stderr
    assert set(broker.payloads["s0"]["files"]) == {"train.py", "in.txt"}
    assert broker.payloads["s0"]["name"].startswith("train-")


def test_a_file_that_is_not_sent_is_pointed_out(broker: FakeBroker) -> None:
    Path("train.py").write_text("")
    Path("data.csv").write_text("")
    result = call(broker, "run", "--no-files", "--", "python", "train.py", "data.csv")
    assert "files" not in broker.payloads["s0"]
    assert "Not sent along: train.py" in result.stderr and "Not sent along: data.csv" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--file", "nothing"], "does not exist"),
        (["--file", "."], "is a folder"),
        (["--file", "huge"], "too large"),
        (["--file", ""], "is not a path"),
        (["--env", "A=\udcff"], "can't be sent"),
    ],
)
def test_what_cannot_be_sent_starts_nothing(broker: FakeBroker, words: list[str], said: str) -> None:
    Path("huge").write_bytes(b"x" * 200_000)
    result = call(broker, "run", *words, "--", "true")
    assert result.exit_code == 1 and said in result.stderr and not broker.sessions
    problem = document(call(broker, "run", *words, "--json", "--", "true"))
    assert problem["code"] == "bad-option" and said in problem["title"]


@pytest.mark.parametrize(
    "words",
    [
        "run",
        "run --",
        "run --cores 0 -- true",
        "run --env NOT_SET_HERE -- true",
        "run --no-files --file x -- true",
        "logs",
        "stop",
        "jobs x",
    ],
)
def test_wrong_usage_is_exit_code_2_and_starts_nothing(broker: FakeBroker, words: str) -> None:
    result = call(broker, *words.split())
    assert (result.exit_code, result.stdout) == (2, "") and not broker.sessions


def test_a_secret_need_not_stand_in_the_command(broker: FakeBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "s3cret")
    call(broker, "run", "--env", "A_KEY", "--", "true")
    assert broker.payloads["s0"]["env"] == {"A_KEY": "s3cret"}


def test_a_refusal_is_exit_code_1_with_its_words(broker: FakeBroker) -> None:
    broker.refusals[""] = NoPlacement("No centre fits.", hint="Ask for less.")
    result = call(broker, "run", "--", "true")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "No centre fits.\nAsk for less.\n")
    assert document(call(broker, "run", "--json", "--", "true"))["code"] == "no-placement"


# ---- to the end


def test_follow_shows_the_output_on_stdout_and_the_rest_on_stderr(broker: FakeBroker) -> None:
    result = call(broker, "run", "--follow", "--", "sh", "-c", "echo one; printf '\\033[31mtwo'")
    assert (result.exit_code, result.stdout) == (0, "one\ntwo")
    assert result.stderr.endswith("s0 done: The program ended by itself.\n")


@pytest.mark.parametrize("how", ["--follow", "--wait"])
def test_a_failed_job_is_exit_code_1_with_the_reason_and_the_last_words(broker: FakeBroker, how: str) -> None:
    result = call(broker, "run", how, "--", "sh", "-c", "echo oh no; exit 3")
    assert result.exit_code == 1
    assert "s0 failed: The job failed (exit 3)." in result.stderr
    assert (result.stdout, "oh no" in result.stderr) == (("oh no\n", False) if how == "--follow" else ("", True))


@pytest.mark.parametrize("how", [[], ["--wait"], ["--follow"]])
def test_json_is_one_document_on_stdout(broker: FakeBroker, how: list[str]) -> None:
    result = call(broker, "run", *how, "--json", "--", "echo", "hello")
    assert result.exit_code == 0 and document(result)["id"] == "s0"
    assert document(result)["live"] is False if how else True
    assert ("hello\n" in result.stderr) is (how == ["--follow"])


def test_json_of_a_failed_job_is_the_session_and_exit_code_1(broker: FakeBroker) -> None:
    result = call(broker, "run", "--wait", "--json", "--", "false")
    assert result.exit_code == 1 and document(result)["end_reason"] == "The job failed (exit 1)."


def test_a_live_job_of_that_name_is_found_and_said_so(broker: FakeBroker) -> None:
    call(broker, "run", "--name", "mine", "--", "sleep", "30")
    result = call(broker, "run", "--name", "mine", "--", "sleep", "30")
    assert result.exit_code == 0 and "Nothing was started" in result.stderr and len(broker.sessions) == 1


# ---- jobs, logs, cancel


def test_jobs_are_the_batch_sessions_alone(broker: FakeBroker) -> None:
    assert call(broker, "jobs").stdout == "No jobs. `scnet run -- python train.py` starts one.\n"
    with broker.client() as client:
        client.submit(kind="dask", name="w", argv=["sleep", "30"])
    call(broker, "run", "--name", "mine", "--gpus", "1", "--", "sleep", "30")
    call(broker, "run", "--name", "bad", "--wait", "--", "false")
    live, every = document(call(broker, "jobs", "--json")), document(call(broker, "jobs", "--all", "--json"))
    assert [one["name"] for one in live["sessions"]] == ["mine"]
    assert [one["name"] for one in every["sessions"]] == ["mine", "bad"]
    head, mine, bad = call(broker, "jobs", "--all").stdout.splitlines()
    assert head.split()[:5] == ["id", "name", "state", "centre", "cores"]
    assert mine.split()[:6] == ["s1", "mine", "running", "alpha", "1", "1"] and "~0.25" in mine
    assert "failed" in bad and "0.50" in bad and "The job failed (exit 1)." in bad


def test_logs_show_the_end_or_follow_to_it(broker: FakeBroker) -> None:
    call(broker, "run", "--wait", "--", "sh", "-c", "echo oh; exit 1")
    assert (call(broker, "logs", "s0").stdout, call(broker, "logs", "s0").exit_code) == ("oh\n", 0)
    assert document(call(broker, "logs", "s0", "--json")) == {"id": "s0", "log": "oh\n"}
    followed = call(broker, "logs", "s0", "--follow")
    assert (followed.stdout, followed.exit_code) == ("oh\n", 1) and "exit 1" in followed.stderr


def test_no_output_yet_is_said(broker: FakeBroker) -> None:
    broker.hold = True
    call(broker, "run", "--", "true")
    result = call(broker, "logs", "s0")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No output yet: s0 is queued.\n")


@pytest.mark.parametrize("command", [["logs"], ["logs", "--follow"], ["stop"]])
def test_an_id_that_is_none_is_said(broker: FakeBroker, command: list[str]) -> None:
    result = call(broker, *command, "nobodys")
    assert (result.exit_code, result.stdout) == (1, "") and "There is no session 'nobodys'." in result.stderr


def test_stop_ends_each_and_says_which_could_not_be(broker: FakeBroker) -> None:
    for _ in range(2):
        call(broker, "run", "--", "sleep", "30")
    call(broker, "run", "--wait", "--", "true")
    result = call(broker, "stop", "s0", "nobodys", "s1", "s2", "s0")
    assert result.exit_code == 1 and "There is no session 'nobodys'." in result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["s0", "s1", "s2"]
    assert "s2 has ended: The program ended by itself." in result.stdout
    broker.wait(lambda: not broker.live())
    again = call(broker, "stop", "s0", "--json")
    assert again.exit_code == 0 and document(again)["refused"] == []
    assert [one["id"] for one in document(again)["sessions"]] == ["s0"]


def test_a_broker_that_is_away_is_said_once(broker: FakeBroker) -> None:
    broker.silent = True
    result = call(broker, "stop", "s0", "s1", "--json")
    assert result.exit_code == 1 and document(result)["code"] == "broker-unreachable" and result.stderr == ""
