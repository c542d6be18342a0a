"""A session's first process: `python -m scnet_hub.session.start FILE`, the only thing that a job script names.

FILE (0600, JSON) holds the environment with its secrets, the argv and the one-time nonce; none of them ever stands in a
job script, a process list or a scheduler's records. A "lab" becomes the single-user server in this very process and
calls home when its port listens; any other kind calls home at once and is replaced by its argv.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from pathlib import Path
from typing import Any, NoReturn

from . import callhome

Json = dict[str, Any]


def main(argv: list[str]) -> NoReturn:
    if len(argv) != 2:
        sys.exit("usage: python -m scnet_hub.session.start FILE")
    start = read(Path(argv[1]))
    enter(start)
    if start["kind"] == "lab":
        from . import lab

        sys.exit(lab.serve(start))
    callhome.in_background(start, node=callhome.node_name())
    run(start["argv"])


def read(path: Path) -> Json:
    """The start file. Exits in words if others can read it: its token would be theirs."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        sys.exit(f"{path} has mode {mode:o}; it holds a token and must be 600. Not started.")
    start: Json = json.loads(path.read_text())
    return start


def enter(start: Json) -> None:
    """This process in the session's environment and working folder, with the examples there."""
    os.environ.pop("PYTHONPATH", None)
    os.environ.update({key: str(value) for key, value in start["env"].items()})
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    home = Path(start["home"])
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ["HOME"] = str(home)
    os.chdir(home)
    if start["kind"] == "lab":
        copy_examples(home / "scnet-notebooks")


def copy_examples(target: Path) -> None:
    """The tutorial notebooks, where the person has none of that name; a full disk doesn't stop the session."""
    here = Path(__file__).resolve()
    source = next((folder for folder in (here.parent / "notebooks", here.parents[2] / "notebooks") if folder.is_dir()), None)
    try:
        target.mkdir(exist_ok=True)
        for notebook in sorted(source.glob("*.ipynb")) if source else ():
            if not (target / notebook.name).exists():
                shutil.copyfile(notebook, target / notebook.name)
    except OSError as error:
        print(f"the example notebooks could not be copied: {error}", file=sys.stderr)


def run(argv: list[str]) -> NoReturn:
    """Becomes the program; "python" is the session environment's own interpreter."""
    program = [sys.executable, *argv[1:]] if argv[0] == "python" else argv
    sys.stdout.flush()
    try:
        os.execvp(program[0], program)
    except OSError as error:
        sys.exit(f"{program[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv)
