"""The session's first process: its file, its environment, its call home; on real processes and a real HTTP server."""

import base64
import json
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scnet_hub.domain.sessions import start_file as start_file_names
from scnet_hub.node import call_home as callhome
from scnet_hub.node import lab, log_ceiling, terminal
from scnet_hub.node.start import ASK_FIRST, UNANSWERED, ask_to_begin, root_warning


class Home(BaseHTTPRequestHandler):
    """A broker that is away for the first calls, then takes the news."""

    def do_POST(self) -> None:
        server: Any = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.calls.append(body)
        away = len(server.calls) <= server.away
        self.send_response(server.gone if away else server.answer)
        if not away and server.answer >= 400:
            self.send_header("Content-Type", "application/problem+json")
        self.end_headers()
        if not away:
            server.heard.set()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def home() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Home)
    server.calls, server.away, server.gone, server.answer, server.heard = [], 0, 503, 200, threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def start_file(folder: Path, home: Any, argv: list[str], **more: Any) -> Path:
    path = folder / "start.json"
    call_home = f"http://127.0.0.1:{home.server_port}/call-home"
    path.write_text(
        json.dumps(
            {"session": "s", "kind": "batch", "argv": argv, "env": {"TOKEN": "secret", "A": "b c"}, "nonce": "n",
            "call_home": call_home,
             "home": str(folder / "home"), "host": "", **more}
        )
    )  # fmt: skip
    path.chmod(0o600)
    return path


def run(path: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.run(
        [sys.executable, "-m", "scnet_hub.node.start", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        env=env,
        cwd=path.parent,
    )


def test_a_batch_job_becomes_its_program_in_its_environment(tmp_path: Path, home: Any) -> None:
    code = (
        "import os; print(os.environ['A'], os.path.relpath(os.getcwd(), os.environ['HOME']), os.environ['TOKEN'], "
        "os.listdir())"
    )
    done = run(start_file(tmp_path, home, ["python", "-c", code]))
    assert (done.returncode, done.stdout) == (0, "b c scnet-jobs/s secret []\n")
    assert stat.S_IMODE((tmp_path / "home" / "scnet-jobs" / "s").stat().st_mode) == 0o700
    assert home.heard.wait(20)
    assert home.calls[-1]["nonce"] == "n" and home.calls[-1]["phase"] == "started"


FLOOD = """
import os, sys, time
print("first")
while os.fstat(1).st_size <= 60_000:  # until it is cut for the first time
    sys.stdout.write("x" * 999 + chr(10))
    sys.stdout.flush()
while os.fstat(1).st_size > 50_000:
    time.sleep(0.01)
print("last", flush=True)
try:
    os.wait()
except ChildProcessError:
    print("no child", flush=True)
"""


@pytest.mark.parametrize("mode", ["ab", "wb"])
def test_a_log_over_its_ceiling_is_cut_and_says_so(tmp_path: Path, home: Any, mode: str) -> None:
    path = start_file(tmp_path, home, ["python", "-c", FLOOD], log_limit=50_000)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    with (tmp_path / "log").open(mode) as log:
        subprocess.run(
            [sys.executable, "-m", "scnet_hub.node.start", str(path)],
            stdout=log,
            stderr=log,
            timeout=60,
            env=env,
            check=True,
        )
    text = (tmp_path / "log").read_text()
    before, found, after = text.partition(
        "\n[scnet] This log reached 50,000 bytes, the most that a log may take at this centre: "
    )
    assert before.startswith("first\n") and len(before) == 25_000 and found
    assert (
        after.endswith("Let your program write large output to a file of your own.\nlast\nno child\n")
        and "\0" not in text
    )


def test_a_log_that_is_cut_again_says_how_much_is_missing_in_all(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        removed = 0
        for _ in range(2):
            log.write(b"x" * 1500)
            log.flush()
            removed += log_ceiling.cut(log.fileno(), 1000, removed)
    text = (tmp_path / "log").read_text()
    assert text.count("[scnet]") == 1 and f"{removed:,} bytes that followed here" in text and removed > 2000


def test_a_broker_that_is_away_is_called_until_it_answers(tmp_path: Path, home: Any) -> None:
    home.away = 2
    assert run(start_file(tmp_path, home, ["sleep", "3"])).returncode == 0
    assert home.heard.wait(20) and len(home.calls) == 3


def asking(folder: Path, home: Any, argv: list[str], **more: Any) -> Path:
    """The start file of a job that was also submitted elsewhere."""
    assert start_file_names.ASK_FIRST == ASK_FIRST
    (folder / ASK_FIRST).write_bytes(start_file_names.ASK_FIRST_TEXT)
    return start_file(folder, home, argv, **more)


@pytest.mark.parametrize("kind", ["batch", "dask"])
def test_a_job_that_was_also_submitted_elsewhere_begins_once_the_broker_says_that_it_is_the_first(
    tmp_path: Path, home: Any, kind: str
) -> None:
    home.away = 2
    done = run(asking(tmp_path, home, ["echo", "ran"], kind=kind))
    assert (done.returncode, done.stdout) == (0, "ran\n") and len(home.calls) == 3
    assert home.calls[-1]["phase"] == "started"


def test_a_job_that_is_not_the_first_ends_before_its_program_begins(tmp_path: Path, home: Any) -> None:
    home.answer = 403
    done = run(asking(tmp_path, home, ["echo", "ran"]))
    assert (done.returncode, done.stdout, len(home.calls)) == (1, "", 1)
    assert "runs elsewhere, or is no longer wanted. Not started." in done.stderr


def test_a_job_that_is_not_the_first_leaves_the_files_of_the_one_that_runs(tmp_path: Path, home: Any) -> None:
    """Both have one working folder where their centres, or partitions, have one file system."""
    home.answer = 403
    folder = tmp_path / "home" / "scnet-jobs" / "s"
    folder.mkdir(parents=True)
    (folder / "in").write_text("changed by the program")
    files = {name: base64.b64encode(b"fresh").decode() for name in ("in", "go.sh")}
    assert run(asking(tmp_path, home, ["./go.sh"], files=files)).returncode == 1 and len(home.calls) == 1
    assert (folder / "in").read_text() == "changed by the program" and not (folder / "go.sh").exists()


def test_a_job_that_is_the_first_has_its_files(tmp_path: Path, home: Any) -> None:
    files = {"go.sh": base64.b64encode(b"#!/bin/sh\ncat in\n").decode(), "in": base64.b64encode(b"fresh").decode()}
    assert run(asking(tmp_path, home, ["go.sh"], files=files)).stdout == "fresh"


def test_a_no_that_is_not_the_brokers_lets_a_job_ask_again(tmp_path: Path, home: Any) -> None:
    home.away, home.gone = 2, 403
    assert run(asking(tmp_path, home, ["echo", "ran"])).stdout == "ran\n" and len(home.calls) == 3


def test_a_job_without_an_answer_does_not_guess(tmp_path: Path, home: Any, capsys: pytest.CaptureFixture[str]) -> None:
    home.away = 100
    start = json.loads(asking(tmp_path, home, ["true"]).read_text())
    with pytest.raises(SystemExit) as ended:
        ask_to_begin(start, patience=0.3)
    assert ended.value.code == UNANSWERED and len(home.calls) >= 1
    assert "the hub did not answer" in capsys.readouterr().err


def test_a_job_whose_program_is_not_there_does_not_take_the_others_place(tmp_path: Path, home: Any) -> None:
    assert run(asking(tmp_path, home, ["no-such-program"])).returncode == 127 and home.calls == []


def test_a_no_that_is_not_the_brokers_is_no_answer(tmp_path: Path, home: Any) -> None:
    """A proxy without routes leads to the hub, which refuses what it doesn't know."""
    home.away, home.gone = 2, 403
    start = json.loads(start_file(tmp_path, home, ["true"]).read_text())
    assert callhome.tell(start, {"phase": "started"})
    assert len(home.calls) == 3


def test_the_brokers_no_is_final(tmp_path: Path, home: Any) -> None:
    home.answer = 422
    start = json.loads(start_file(tmp_path, home, ["true"]).read_text())
    assert not callhome.tell(start, {"phase": "started"})
    assert len(home.calls) == 1


def test_a_file_that_others_can_read_is_not_started(tmp_path: Path, home: Any) -> None:
    path = start_file(tmp_path, home, ["true"])
    path.chmod(0o644)
    done = run(path)
    assert done.returncode != 0 and "must have mode 600" in done.stderr and not home.calls


def test_a_program_that_is_not_there_is_named_and_nobody_is_told_that_it_runs(tmp_path: Path, home: Any) -> None:
    done = run(start_file(tmp_path, home, ["no-such-program"]))
    assert (done.returncode, done.stderr) == (127, "no-such-program: no such program here. Not started.\n")
    assert not home.calls


def test_a_dask_worker_starts_in_the_home_itself(tmp_path: Path, home: Any) -> None:
    done = run(start_file(tmp_path, home, ["pwd"], kind="dask"))
    assert done.stdout == f"{tmp_path / 'home'}\n"


# ---- what is sent along with a batch job


def test_files_lie_in_the_jobs_own_folder_and_words_arrive_as_they_were(tmp_path: Path, home: Any) -> None:
    files = {"train.py": "import sys; print(sys.argv[1:], open('data/in.txt').read())", "data/in.txt": "数据"}
    words = ["a b", "'\"$(id)`", "é\n数", "", "--", "-x"]
    sent = {name: base64.b64encode(text.encode()).decode() for name, text in files.items()}
    done = run(start_file(tmp_path, home, ["python", "train.py", *words], files=sent))
    assert done.stdout == f"{words!r} 数据\n", done.stderr


@pytest.mark.parametrize("word", ["go.sh", "./go.sh"])
def test_a_script_that_was_sent_is_the_program(tmp_path: Path, home: Any, word: str) -> None:
    sent = {"go.sh": base64.b64encode(b"#!/bin/sh\necho ran in ${PWD##*/}; exit 7\n").decode()}
    done = run(start_file(tmp_path, home, [word], files=sent))
    assert (done.returncode, done.stdout) == (7, "ran in s\n"), done.stderr


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/../../x", ""])
def test_a_name_that_leads_out_of_the_folder_starts_nothing(tmp_path: Path, home: Any, name: str) -> None:
    done = run(start_file(tmp_path, home, ["true"], files={name: ""}))
    assert done.returncode != 0 and "not a valid name for a file" in done.stderr and not home.calls
    assert not (tmp_path / "home" / "scnet-jobs" / "x").exists()


def test_a_job_that_is_started_once_more_has_fresh_files_and_keeps_its_own(tmp_path: Path, home: Any) -> None:
    code = "cat count 2>/dev/null; echo 1 >> count; echo spoilt > in"
    path = start_file(
        tmp_path, home, ["sh", "-c", f"cat in; {code}"], files={"in": base64.b64encode(b"fresh ").decode()}
    )
    assert (run(path).stdout, run(path).stdout) == ("fresh ", "fresh 1\n")


def test_a_home_that_cannot_be_written_is_said(tmp_path: Path, home: Any) -> None:
    (tmp_path / "home").write_text("not a folder")
    done = run(start_file(tmp_path, home, ["true"]))
    assert done.returncode != 0 and "home" in done.stderr and "Traceback" not in done.stderr and not home.calls


def test_pythons_output_can_be_followed_unless_the_person_says_otherwise(tmp_path: Path, home: Any) -> None:
    code = "import os; print(os.environ.get('PYTHONUNBUFFERED'))"
    assert run(start_file(tmp_path, home, ["python", "-c", code])).stdout == "1\n"
    assert run(start_file(tmp_path, home, ["python", "-c", code], env={"PYTHONUNBUFFERED": ""})).stdout == "\n"


# ---- the person's own packages


def test_pip_installs_into_the_persons_own_folder_and_jobs_find_it(tmp_path: Path, home: Any) -> None:
    before = sorted(os.listdir(sysconfig.get_path("purelib")))
    wheel = tiny_wheel(tmp_path)
    done = run(start_file(tmp_path, home, ["pip", "install", "--no-index", "--disable-pip-version-check", str(wheel)]))
    assert done.returncode == 0, done.stderr
    done = run(
        start_file(
            tmp_path,
            home,
            ["python", "-c", "import mine, numpy, scnet_hub; print(mine.__file__, numpy.__file__)"],
            kind="dask",
        )
    )
    own, theirs = done.stdout.split()
    assert own.startswith(str(tmp_path / "home/.local/share/scnet")) and theirs.startswith(
        sysconfig.get_path("purelib")
    )
    assert sorted(os.listdir(sysconfig.get_path("purelib"))) == before


def test_a_newer_package_of_ones_own_stands_before_the_sessions_which_stays(tmp_path: Path, home: Any) -> None:
    wheel = tiny_wheel(tmp_path, "click", "999")
    done = run(start_file(tmp_path, home, ["pip", "install", "--no-index", "--disable-pip-version-check", str(wheel)]))
    assert done.returncode == 0 and "outside environment" in done.stdout
    code = "from importlib.metadata import version; print(version('click'))"
    assert run(start_file(tmp_path, home, ["python", "-c", code])).stdout == "999\n"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) != "999\n"


def test_a_kernel_is_the_persons_own_python(tmp_path: Path, home: Any) -> None:
    code = "from jupyter_client.kernelspec import KernelSpecManager as M; print(M().get_kernel_spec('python3').argv[0])"
    found = run(start_file(tmp_path, home, ["python", "-c", code])).stdout.strip()
    assert found.startswith(str(tmp_path / "home/.local/share/scnet")) and Path(found).exists()


def test_a_home_without_room_for_packages_has_the_sessions_own(tmp_path: Path, home: Any) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.local").write_text("no folder")
    done = run(start_file(tmp_path, home, ["python", "-c", "import sys; print(sys.prefix)"]))
    assert done.stdout == f"{sys.prefix}\n" and "`pip install` does not work" in done.stderr


def tiny_wheel(folder: Path, name: str = "mine", version: str = "1.0") -> Path:
    """A wheel with one empty module."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", "")
        info = f"{name}-{version}.dist-info"
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


# ---- terminals


def test_a_terminal_reads_the_profile_and_still_finds_the_sessions_commands(tmp_path: Path) -> None:
    bash, folder = shutil.which("bash"), Path(sys.executable).parent
    assert bash, "apt install bash"
    (tmp_path / ".bash_profile").write_text("export PATH=/opt/mine:/usr/bin:/bin GREETING=hello\n")
    env = {"HOME": str(tmp_path), "SHELL": bash, "PATH": f"{folder}:/usr/bin:/bin"}
    script = "type -p python; echo $GREETING ${PATH%%:*}"
    done = subprocess.run(
        [*terminal.command(env), "-i"], input=script, env=env, capture_output=True, text=True, timeout=30
    )
    assert done.stdout.split() == [str(folder / "python"), "hello", "/opt/mine"], done.stderr


def test_an_account_without_a_shell_has_one_in_a_terminal() -> None:
    assert terminal.command({"SHELL": "/usr/sbin/nologin"})[0] != "/usr/sbin/nologin"
    assert terminal.command({"SHELL": "/no/such/shell"})[0] != "/no/such/shell"


# ---- two sessions of one person


def test_named_servers_have_workspaces_of_their_own() -> None:
    home = Path("/home/ada")
    places = {lab.workspaces(home, name) for name in ("", "gpu", "a/../b", "..", "servers")}
    assert len(places) == 5 and lab.workspaces(home, "") == home / ".jupyter/lab/workspaces"
    assert all(".." not in place.parts for place in places)


def test_a_session_that_runs_as_root_warns_in_its_log(tmp_path: Path, home: Any) -> None:
    done = run(start_file(tmp_path, home, ["python", "-c", "print('works')"], kind="dask"))
    assert done.stdout == "works\n" and done.stderr == (f"{root_warning(0, 'dask')}\n" if os.geteuid() == 0 else "")
    assert "runs as root" in root_warning(0, "lab") and not root_warning(1000, "lab") and not root_warning(0, "batch")
