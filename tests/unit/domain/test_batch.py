"""Tests batch jobs in the client: which files are sent, how a job is named, waited for and followed; with real
processes."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scnet_hub.client import Client, batch_jobs, job_files
from scnet_hub.client.batch_jobs import Job, Output
from scnet_hub.domain.sessions import requests
from scnet_hub.errors import BadOption, BrokerError, NotFound, OverQuota, ScnetError
from tests.builders.copies import session_copy
from tests.builders.fakes.broker import FakeBroker, until

REPO = Path(__file__).resolve().parents[3]


@pytest.fixture
def broker() -> Iterator[FakeBroker]:
    with FakeBroker() as fake:
        yield fake


@pytest.fixture
def client(broker: FakeBroker) -> Iterator[Client]:
    with broker.client() as client:
        yield client


# ---- what is sent along


@pytest.mark.parametrize(
    ("argv", "sent"),
    [
        (["python", "train.py", "--epochs", "3"], "train.py"),
        (["python", "-u", "src/model.py"], "src/model.py"),
        (["./train.py"], "./train.py"),
        (["python", "-W", "ignore", "train.py"], "train.py"),
        (["python", "-c", "print(1)"], ""),
        (["python", "-m", "train"], ""),
        (["python", "../outside.py"], ""),
        (["python", "src"], ""),
        (["python", "x" * 5000, "a\0b", ""], ""),
        (["true"], ""),
    ],
)
def test_the_program_is_the_first_word_that_names_a_file_here(tmp_path: Path, argv: list[str], sent: str) -> None:
    here = tmp_path / "here"
    (here / "src").mkdir(parents=True)
    for name in ("train.py", "src/model.py", "true", "../outside.py"):
        (here / name).write_text("")
    assert job_files.program(argv, here) == sent


def test_files_keep_their_relative_names_and_those_outside_their_last(tmp_path: Path) -> None:
    here = tmp_path / "here"
    (here / "src").mkdir(parents=True)
    for name in ("a.txt", "src/a.txt", "../b é.txt"):
        (here / name).write_text(name)
    found = job_files.gather(["a.txt", "./src/../src/a.txt", "../b é.txt", here / "a.txt"], here)
    assert found == {"a.txt": b"a.txt", "src/a.txt": b"src/a.txt", "b é.txt": "../b é.txt".encode()}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nothing.txt", "does not exist"),
        ("folder", "is a folder"),
        ("huge", "too large: the files of a job may have 128 KiB in total"),
        ("pipe", "is not a regular file"),
        ("loop", "does not exist"),
        ("a\0b", "is not a path"),
        ("", "is not a path"),
        ("n" * 300, "."),
        (3, "is not a path"),
        (b"a", "is not a path"),
    ],
)
def test_what_cannot_be_sent_is_said(tmp_path: Path, path: object, words: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(BadOption, match=words):
        job_files.gather([path], tmp_path)  # type: ignore[list-item]


def test_files_that_fit_alone_may_be_too_many_together(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"x" * 100_000)
    job_files.gather(["a", "a"], tmp_path)
    with pytest.raises(BadOption, match=r"b .*too large"):
        job_files.gather(["a", "b"], tmp_path)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "a").write_text("")
    (tmp_path / "here" / "a").write_text("")
    with pytest.raises(BadOption, match="have the name 'a'"):
        job_files.gather(["a", "../a"], tmp_path / "here")


def test_what_is_gathered_passes_the_brokers_door_and_its_limit_of_a_body(tmp_path: Path) -> None:
    (tmp_path / "full").write_bytes(b"\xff" * job_files.LIMIT)
    packed = job_files.packed(job_files.gather(["full"], tmp_path))
    assert requests.payload("batch", ["x" * 60_000], {}, packed)["files"] == packed
    assert job_files.LIMIT == requests.MAX_FILE_BYTES and len(packed["full"]) + requests.MAX_PAYLOAD < 250 * 1024


# ---- commands and names


@pytest.mark.parametrize("argv", [b"python", "", "  ", [], [3], ["a", 3], [b"a"], 3, None])
def test_what_is_no_command_is_refused(argv: object) -> None:
    with pytest.raises(BadOption, match="list of words"):
        batch_jobs.command(argv)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("python train.py", ["python", "train.py"]),
        (" python  train.py --name 'a b' \"c|d\" e\\ f ", ["python", "train.py", "--name", "a b", "c|d", "e f"]),
        ("python -c 'print(1); print(\"$HOME\")'", ["python", "-c", 'print(1); print("$HOME")']),
        ("./sim --x=1 数据.txt", ["./sim", "--x=1", "数据.txt"]),
    ],
)
def test_a_string_is_split_as_a_shell_splits_it(line: str, words: list[str]) -> None:
    assert batch_jobs.command(line) == words


@pytest.mark.parametrize(
    "line",
    [
        "a | b",
        "a && b",
        "a > b",
        "echo $HOME",
        'echo "$HOME"',
        "echo `id`",
        "ls *.py",
        "a; b",
        "cat ~/x",
        "a\nb",
        "a {b,c}",
        "a # b",
    ],
)
def test_a_string_that_needs_a_shell_says_how(line: str) -> None:
    with pytest.raises(BadOption, match="only a shell understands") as caught:
        batch_jobs.command(line)
    assert '["bash", "-c",' in caught.value.hint


def test_a_setting_before_the_command_is_told_its_option() -> None:
    with pytest.raises(BadOption, match="OMP_NUM_THREADS=4") as caught:
        batch_jobs.command("OMP_NUM_THREADS=4 python x.py")
    assert caught.value.hint == "Write env={'OMP_NUM_THREADS': '4'}."
    with pytest.raises(BadOption, match="No closing quotation"):
        batch_jobs.command("python 'x.py")


@pytest.mark.parametrize(
    ("argv", "stem"),
    [
        (["python", "src/train.py", "x"], "train"),
        (["python3.12", "-u", "train.py"], "train"),
        (["bash", "go.sh"], "go"),
        (["./sim", "in.dat"], "sim"),
        (["/usr/bin/env"], "env"),
        (["数据"], "job"),
        (["a b\n;c" + "x" * 100], "a-b-c"),
    ],
)
def test_a_name_is_readable_and_no_others(argv: list[str], stem: str) -> None:
    name = batch_jobs.name_for(argv)
    assert name.startswith(f"{stem}") and name != batch_jobs.name_for(argv) and len(name) < 50
    requests.text("name", name)


def test_the_words_for_a_good_end_are_the_brokers() -> None:
    from datetime import UTC, datetime

    from scnet_hub.domain.jobs import JobState, JobStatus
    from scnet_hub.domain.sessions.lifecycle import end_reason

    now = datetime.now(UTC)

    def said(state: JobState, cancelled: bool = False) -> str:
        row = session_copy(
            copy_cancelled_at=now if cancelled else None, copy_end_reason="", request={"walltime_s": 60, "memory": 0}
        )
        words = end_reason(row, JobStatus(state=state, seen_at=now, reason="exit 1"))
        return batch_jobs.outcome({"live": False, "end_reason": words})

    assert said(JobState.COMPLETED) == "done" and said(JobState.FAILED) == "failed" and said(JobState.LOST) == "failed"
    assert said(JobState.COMPLETED, cancelled=True) == "stopped"


# ---- a job's life, on a broker that really runs it


def test_a_job_with_its_program_and_a_file_runs_elsewhere(broker: FakeBroker, client: Client, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import sys; print(sys.argv[1:], open('in/x.txt').read())")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.txt").write_text("数据")
    words = ["a b", "'\"$(id)`", "é\n", "", "--"]
    job = batch_jobs.start(
        client, ["python", "train.py", *words], files=["in/x.txt"], here=tmp_path, cores=2, walltime=None
    )
    assert job.new and set(job.sent) == {"in/x.txt", "train.py"} and job.centre == "alpha" and job.why
    assert "walltime" not in broker.payloads[job.id]
    assert job.wait(30).ok is True and job.state == "done"
    assert job.log() == f"{words!r} 数据\n"


def test_nothing_is_sent_if_the_person_says_so_and_what_stays_here_is_known(
    broker: FakeBroker, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text("")
    (tmp_path / "data.csv").write_text("")
    job = batch_jobs.start(client, ["python", "train.py", "data.csv"], files=None, here=tmp_path)
    assert "files" not in broker.payloads[job.id] and job.left == ("train.py", "data.csv")
    assert batch_jobs.start(client, ["python", "train.py", "data.csv"], here=tmp_path).left == ("data.csv",)


def test_a_failed_job_is_not_ok_and_says_why(client: Client) -> None:
    job = batch_jobs.start(client, ["sh", "-c", "echo oh; exit 3"]).wait(30)
    assert job.ok is False and job.state == "failed" and job.reason == "The job failed (exit 3)."
    assert "failed" in repr(job)


def test_two_jobs_of_one_program_run_at_once_but_one_of_a_name(broker: FakeBroker, client: Client) -> None:
    first, second = (batch_jobs.start(client, ["sleep", "30"]) for _ in range(2))
    assert first.id != second.id and len(broker.live()) == 2
    mine = batch_jobs.start(client, ["sleep", "30"], name="mine")
    again = batch_jobs.start(client, ["sleep", "31"], name="mine")
    assert mine.new and not again.new and again.id == mine.id
    for job in (first, second, mine):
        assert job.cancel().wait(30).state == "stopped"


def test_waiting_ends_in_time_and_the_job_goes_on(broker: FakeBroker, client: Client) -> None:
    broker.hold = True
    job = batch_jobs.start(client, ["true"])
    with pytest.raises(TimeoutError, match="queued, and continues"):
        job.wait(0.05)
    assert job.ok is None and broker.live()


def test_output_is_followed_line_by_line_to_the_end(client: Client, tmp_path: Path) -> None:
    wait = "until [ -e go ]; do sleep 0.02; done"
    job = batch_jobs.start(client, ["sh", "-c", f"cd {tmp_path}; echo one; printf tw; {wait}; echo o; printf end"])
    got: list[str] = []

    def write(text: str) -> None:
        got.append(text)
        (tmp_path / "go").touch()

    job.follow(write)
    assert (got[0], "".join(got)) == ("one\n", "one\ntwo\nend")


def test_a_broker_that_is_away_for_a_while_is_waited_for(broker: FakeBroker, client: Client) -> None:
    job = batch_jobs.start(client, ["sleep", "0.2"])
    broker.silent = True
    heard: list[str] = []

    class Back(Client):
        def session(self, session_id: str, *, wait: float = 0, seen: int = -1) -> dict[str, object]:
            try:
                return super().session(session_id, wait=wait, seen=seen)
            except ScnetError as error:
                heard.append(error.code)
                broker.silent = False
                raise

    with Back(broker.url, "a-token") as back:
        assert Job(back, job.session).wait(30).ok
    assert heard == ["broker-unreachable"]


def test_a_lost_answer_starts_nothing_twice(broker: FakeBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_jobs, "RETRIES", (0.0, 0.0))

    class Lossy(Client):
        lost = 0

        def submit_new(self, **wanted: object) -> tuple[dict[str, object], bool]:
            answer = super().submit_new(**wanted)
            if self.lost < 2:
                self.lost += 1
                raise BrokerError("The broker does not answer.")
            return answer

    with Lossy(broker.url, "a-token") as client:
        job = batch_jobs.start(client, ["sleep", "5"])
    assert job.new and list(broker.sessions) == [job.id]


def test_a_broker_that_stays_away_says_under_which_name_to_look(
    broker: FakeBroker, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_jobs, "RETRIES", (0.0,))
    broker.silent = True
    with pytest.raises(BrokerError) as caught:
        batch_jobs.start(client, ["true"], name="mine")
    assert "as mine" in caught.value.hint


def test_a_refusal_is_the_brokers_own(broker: FakeBroker, client: Client) -> None:
    broker.refusals[""] = OverQuota("Eight cores at once.")
    with pytest.raises(OverQuota):
        batch_jobs.start(client, ["true"])
    with pytest.raises(NotFound):
        client.stop("nobodys")


@pytest.mark.parametrize(
    "odd", [{"walltime": timedelta(hours=1)}, {"cores": float("nan")}, {"name": "\ud800"}, {"env": {"A": object()}}]
)
def test_what_json_cannot_hold_is_refused_in_words(client: Client, odd: dict[str, object]) -> None:
    with pytest.raises(BadOption, match="can't be sent"):
        batch_jobs.start(client, ["true"], **odd)  # type: ignore[arg-type]


def test_a_job_in_a_notebook_is_one_escaped_line(broker: FakeBroker, client: Client) -> None:
    broker.hold = True
    job = batch_jobs.start(client, ["true"], name="<b>&")
    html = job._repr_html_()
    assert "&lt;b&gt;&amp;" in html and "<b>&<" not in html and "queued" in html
    broker.silent = True
    assert "without an explanation" in job._repr_html_()


# ---- the end of a growing text


def test_half_a_letter_a_carriage_return_and_half_a_line_wait() -> None:
    output = Output()
    windows = ["a\r", "a\r\nb", "a\r\nb\rc", "a\r\nb\rc\ufffd", "a\r\nb\rcé\r\n"]
    assert [output.take(window) for window in windows] == ["", "a\n", "b\n", "", "cé\n"]
    assert output.take("a\r\nb\rcé\r\nend", ended=True) == "end"
    assert output.take("", ended=True) == ""


def test_a_window_that_moved_on_too_far_says_that_something_is_missing() -> None:
    assert batch_jobs.news("a" * 100, "b" * 100) == "[...]\n" + "b" * 100
    assert batch_jobs.news("abc", "") == ""


@given(st.lists(st.text("ab\n", min_size=1, max_size=60), min_size=1, max_size=12), st.integers(80, 200))
def test_lines_that_differ_are_each_given_once(chunks: list[str], size: int) -> None:
    """Whatever is printed between two looks, as long as the window still holds the last line seen."""
    output, text, got = Output(), "", ""
    for number, chunk in enumerate(chunks):
        text += f"{number}:{chunk}\n"
        got += output.take(text[-(size + 80) :])
    assert got + output.take(text[-(size + 80) :], ended=True) == text


# ---- in a notebook


def run(script: str, env: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPO), **env}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], env=env, capture_output=True, text=True, timeout=60, cwd=folder
    )


def test_a_refusal_in_a_notebook_is_its_sentence_alone() -> None:
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    with capture_output() as said:
        InteractiveShell().run_cell("import scnet_hub.client.batch_jobs as batch; batch.command('a | b')")
    lines = said.stdout.strip().splitlines()
    assert (
        lines[0].startswith("BadOption: The command has '|'")
        and lines[1].startswith("For a shell, write")
        and len(lines) == 2
    )


def test_the_notebooks_one_liners(broker: FakeBroker, tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text("print('hello', open('in.txt').read())")
    (tmp_path / "in.txt").write_text("there")
    script = """
        import scnet_hub as scnet
        job = scnet.run(["python", "hello.py"], cores=1, walltime="10m", files=["in.txt"])
        print(job.wait(30).ok, job.log().strip(), job.centre)
        print(scnet.jobs(), [one.name == job.name for one in scnet.jobs(all=True)])
        scnet.run(["sleep", "20"], name="mine")
        print([one.name for one in scnet.jobs()])
        scnet.run(["sleep", "20", "in.txt"], name="mine").cancel()
        print(scnet.run("python hello.py", files=["in.txt"]).wait(30).log().strip())
        print(scnet.run("python", "hello.py", files=["in.txt"]).wait(30).log().strip())
        print(dir(scnet))
    """
    done = run(script, broker.environment(), tmp_path)
    assert done.stdout.splitlines() == [
        "True hello there alpha",
        "[] [True]",
        "['mine']",
        "hello there",
        "hello there",
        "['__version__', 'balance', 'centres', 'dask', 'jobs', 'panel', 'place', 'run', 'sessions', 'stop', 'usage']",
    ], done.stderr
    assert "already live" in done.stderr
    until(lambda: not broker.live())
    assert base64.b64decode(broker.payloads["s0"]["files"]["in.txt"]) == b"there"
