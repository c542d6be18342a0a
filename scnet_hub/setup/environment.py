"""The Python environment `.venv`, exactly as `requirements.lock` pins it, with checked hashes, byte-compiled.

uv comes from the same lock, so everything that is installed has its hash there. The project itself (`scnet`) is
installed as editable: a change in the sources needs no second set-up.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from .steps import Failed, digest, noted, run, write_note

NETWORK = (
    "Check that this machine reaches a package index (pip's and uv's own settings apply), then run `make setup` again."
)


class Environment:
    """The environment `.venv` of the checkout at `root`."""

    title = "the Python environment in .venv"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / ".venv"
        self.python = self.folder / "bin" / "python"
        self.lock = root / "requirements.lock"
        self.note = self.folder / "share" / "scnet" / "environment.sha256"

    def wanted(self) -> str:
        return digest([self.lock, self.root / "pyproject.toml"], str(self.folder), str(self.python.resolve()))

    def done(self) -> bool:
        return self.python.exists() and noted(self.note) == self.wanted()

    def make(self) -> None:
        """Creates, fills and records the environment. Raises Failed with what to try."""
        self._create()
        self._install_uv()
        uv = self.folder / "bin" / "uv"
        run(
            "installing the packages of requirements.lock",
            [uv, "pip", "sync", "-q", "--python", self.python, "--require-hashes", "--compile-bytecode", self.lock],
            hint=NETWORK,
        )
        run(
            "installing SCNet Hub itself",
            [
                uv,
                "pip",
                "install",
                "-q",
                "--python",
                self.python,
                "--no-deps",
                "--no-build-isolation",
                "--editable",
                self.root,
            ],
            hint="The lines above name the error in pyproject.toml; `git diff pyproject.toml` shows the changes.",
        )
        run(
            "compiling SCNet Hub",
            [self.python, "-m", "compileall", "-q", self.root / "scnet_hub"],
            hint="A source file has a syntax error: the lines above name it.",
        )
        write_note(self.note, self.wanted())

    def _create(self) -> None:
        """Keeps an environment that runs and has pip; makes anything else again, from the Python that runs this."""
        if _works(self.python) and not self._moved():
            return
        version = ".".join(map(str, sys.version_info[:2]))
        base = Path(sys.base_prefix) / "bin" / f"python{version}"
        run(
            f"creating .venv with Python {version}",
            [base if base.exists() else sys.executable, "-m", "venv", "--clear", self.folder],
            hint=f"On Debian and Ubuntu: apt install python{version}-venv",
        )

    def _moved(self) -> bool:
        """Returns whether the checkout was renamed or copied: the commands in `bin` still name the old place."""
        script = self.folder / "bin" / "activate"
        return not script.exists() or str(self.folder) not in script.read_text()

    def _install_uv(self) -> None:
        pinned = _entry("uv", self.lock.read_text())
        if (self.folder / "bin" / "uv").exists() and pinned.split(" ", 1)[0].replace("==", " ") == _version(
            self.folder / "bin" / "uv"
        ):
            return
        with tempfile.TemporaryDirectory() as folder:
            wanted = Path(folder) / "uv.txt"
            wanted.write_text(pinned)
            run(
                "installing uv",
                [
                    self.python,
                    "-m",
                    "pip",
                    "install",
                    "-q",
                    "--disable-pip-version-check",
                    "--require-hashes",
                    "--no-deps",
                    "-r",
                    wanted,
                ],
                hint=NETWORK,
            )


def _entry(package: str, lock: str) -> str:
    """Returns the lines of one package in the lock: its pin and its hashes. Raises Failed if the package is not
    there."""
    found = re.search(rf"^{package}==.*(?:\n    --hash=.*)*", lock, re.MULTILINE)
    if not found:
        raise Failed(f"requirements.lock does not pin {package}. Run `git checkout requirements.lock`.")
    return found[0] + "\n"


def pins(lock: str) -> list[tuple[str, str]]:
    """Returns (package, version) of each line of the lock that holds on every platform: lines with a marker may not
    apply here."""
    return re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^ ;\n]+) \\$", lock, re.MULTILINE)


def _works(python: Path) -> bool:
    return (
        os.access(python, os.X_OK)
        and subprocess.run([python, "-c", "import pip"], capture_output=True, check=False).returncode == 0
    )


def _version(uv: Path) -> str:
    """Returns "uv 0.13.9", as uv reports; "" if uv does not run."""
    try:
        said = subprocess.run([uv, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return " ".join(said.split()[:2])
