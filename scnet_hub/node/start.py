"""A session's first process: `python -m scnet_hub.node.start FILE`, the only command that a job script names.

FILE (0600, JSON) holds the environment with its secrets, the argv and the one-time nonce; none of them ever appears in
a job script, a process list or a scheduler's records. A "lab" becomes the single-user server in this same process and
calls home when its port listens. Any other kind calls home at once and is replaced by its argv; a "batch" job runs in a
folder of its own with the files that were sent along. A job that was also submitted elsewhere finds a second file
(`ASK_FIRST`) beside FILE: it becomes its argv only if the broker says that it is the first to start.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import stat
import sys
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from . import call_home, log_ceiling, packages

Json = dict[str, Any]
ASK_FIRST = "ask-first"  # as in domain/sessions/start_file.py
ASKS_FOR = 1800.0  # seconds
UNANSWERED = 75  # the exit code of a job that got no answer: EX_TEMPFAIL of sysexits.h


def main(argv: list[str]) -> NoReturn:
    if len(argv) != 2:
        sys.exit("usage: python -m scnet_hub.node.start FILE")
    file = Path(argv[1]).absolute()
    start = read(file)
    if warning := root_warning(os.geteuid(), start["kind"]):
        print(warning, file=sys.stderr, flush=True)
    log_ceiling.keep_below(int(start.get("log_limit", 0)))
    enter(start)
    if start["kind"] == "lab":
        from . import lab

        sys.exit(lab.serve(start))
    argv = program(start["argv"], start.get("files", {}), packages.python(Path(start["home"])))
    asks = file.with_name(ASK_FIRST).exists()
    if asks:
        ask_to_begin(start)
    # only now: the folder may be that of a copy that runs, where both have one file system
    unpack(start.get("files", {}))
    if not asks:
        call_home.in_background(start, node=call_home.node_name())
    run(argv)


def read(path: Path) -> Json:
    """Reads the start file. Exits with a message if others can read the file, because they could use its token."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        sys.exit(f"{path} has mode {mode:o}; it holds a token and must have mode 600. Not started.")
    start: Json = json.loads(path.read_text())
    return start


def root_warning(uid: int, kind: str) -> str:
    """Returns the first line in the log of a session that runs as root, else "". A batch job's log holds its program's
    output and nothing else."""
    if uid != 0 or kind == "batch":
        return ""
    return (
        f"WARNING: this session runs as root on {call_home.node_name()}: anyone who can reach it controls the "
        "node. It should run under its"
        " person's own account; its centre's page says how (docs/explanation/identity.md)."
    )


def enter(start: Json) -> None:
    """Puts this process into the session's environment and working folder, with the examples there for a Lab."""
    os.environ.pop("PYTHONPATH", None)
    os.environ.update({key: str(value) for key, value in start["env"].items()})
    home = Path(start["home"])
    os.environ["HOME"] = str(home)
    try:
        os.chdir(own_folder(home))
        packages.enter(home)
        if start["kind"] == "batch":
            os.environ.setdefault("PYTHONUNBUFFERED", "1")  # so that the log can be followed
            os.chdir(own_folder(home / "scnet-jobs" / start["session"]))
    except OSError as error:
        sys.exit(f"{error.filename or home}: {error.strerror}. Not started.")
    if start["kind"] == "lab":
        copy_examples(home / "scnet-notebooks")


def own_folder(folder: Path) -> Path:
    """Makes the folder and its missing parents with 0700, and returns the folder."""
    if not folder.is_dir():
        own_folder(folder.parent)
        folder.mkdir(exist_ok=True, mode=0o700)
    return folder


def unpack(files: dict[str, str]) -> None:
    """Writes the files that were sent along into the working folder, executable as a script must be. A job that its
    centre starts again finds them fresh, beside the files that its first run wrote."""
    for name, data in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.name:
            sys.exit(f"{name!r} is not a valid name for a file of this job. Not started.")
        try:
            own_folder(Path(path.parent))
            Path(path).write_bytes(base64.b64decode(data))
            Path(path).chmod(0o700)
        except OSError as error:
            sys.exit(f"{error.filename or name}: {error.strerror}. Not started.")


def copy_examples(target: Path) -> None:
    """Copies the tutorial notebooks, unless the person has a file of that name; a full disk doesn't stop the
    session."""
    here = Path(__file__).resolve()
    source = next(
        (folder for folder in (here.parent / "notebooks", here.parents[2] / "notebooks") if folder.is_dir()), None
    )
    try:
        target.mkdir(exist_ok=True)
        for notebook in sorted(source.glob("*.ipynb")) if source else ():
            if not (target / notebook.name).exists():
                shutil.copyfile(notebook, target / notebook.name)
    except OSError as error:
        print(f"the example notebooks could not be copied: {error}", file=sys.stderr)


def program(argv: list[str], files: dict[str, str], python: str) -> list[str]:
    """Returns the argv to become: "python" is the person's own interpreter, and a file that was sent along is that
    file. Exits with a message, before the broker learns that the job runs, if there is no such program."""
    first = {"python": python, **{name: f"./{name}" for name in files}}.get(argv[0], argv[0])
    sent = os.path.normpath(first) in {os.path.normpath(name) for name in files}  # not written yet
    if not sent and not shutil.which(first):
        print(f"{argv[0]}: no such program here. Not started.", file=sys.stderr)
        sys.exit(127)
    return [first, *argv[1:]]


def ask_to_begin(start: Json, patience: float = ASKS_FOR) -> None:
    """Returns if this job is the first of its session to start. Exits if it is not, or if the broker gives no answer
    for `patience` seconds: the program may run elsewhere already, so the job must not guess."""
    try:
        first = call_home.may_begin(start, node=call_home.node_name(), patience=patience)
    except TimeoutError:
        print(
            f"This job was also submitted elsewhere, and the hub did not answer for {patience / 60:.0f} min whether it "
            "runs there. Not started.",
            file=sys.stderr,
        )
        sys.exit(UNANSWERED)
    if not first:
        sys.exit("This job runs elsewhere, or is no longer wanted. Not started.")


def run(argv: list[str]) -> NoReturn:
    """Becomes the program."""
    sys.stdout.flush()
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        sys.exit(f"{argv[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv)
