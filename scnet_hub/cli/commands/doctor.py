"""`scnet doctor`: which parts are in order and which are not, from this machine's Python to each centre, and what to
do.

A check is a function that returns its finding, or raises a Problem; a new check is a function and a line in
CHECKS.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path

import click

from ... import __version__
from ...client.rest import Client, state_dir
from ...errors import BrokerError, ScnetError
from ...setup.environment import Environment, pins
from ...setup.proxy import HERE, Proxy, bundled, node
from ..app import App, Json, plain, print_json, readable

LEAST_DISK = 500 * 2**20  # bytes: a session's notebook, a database and some days of logs
SETUP = "Run `make setup`."


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: the name of the check, whether it passed, its finding, and what to do."""

    name: str
    ok: bool
    found: str
    hint: str = ""


class Problem(ScnetError):
    """Raised by a check when something is not in order."""

    code = "problem"


@dataclass(slots=True)
class Visit:
    """One run: the folders of the sources and of the environment, and the broker's client once it is known."""

    connect: Callable[[], Client]
    root: Path = field(default_factory=lambda: Path(__file__).resolve().parents[3])
    prefix: Path = field(default_factory=lambda: Path(sys.prefix))
    client: Client | None = None
    silent: str = "no broker is known"

    def ask(self, path: str) -> Json:
        """Makes one call. Raises Problem without a call if the broker is known not to answer."""
        if self.client is None or self.silent:
            raise Problem(f"not asked, because {self.silent}")
        return self.get(self.client, path)

    def without_hub(self) -> bool:
        """Returns whether this is an installed client: in a session, or on a person's machine."""
        return not (self.root / "requirements.lock").exists() and bundled(self.prefix) is None

    @staticmethod
    def get(client: Client, path: str) -> Json:
        with readable():
            return client.call("GET", path, timeout=10)


Checks = tuple[tuple[str, Callable[[Visit], str]], ...]


def python(visit: Visit) -> str:
    if sys.version_info < (3, 11):  # noqa: UP036  # another Python may have made the environment
        raise Problem(f"{sys.version.split()[0]} is too old", hint="SCNet Hub needs Python 3.11 or newer.")
    return f"{sys.version.split()[0]} in {sys.prefix}"


def environment(visit: Visit) -> str:
    lock = visit.root / "requirements.lock"
    if not lock.exists():
        return f"scnet-hub {__version__}, installed without a lock file"
    if Path(sys.prefix).resolve() != Environment(visit.root).folder.resolve():
        return "not the .venv of this checkout: not compared with the lock"
    wrong = [
        f"{name} {has or 'missing'} (not {wanted})"
        for name, wanted in pins(lock.read_text())
        if (has := version(name)) != wanted
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise Problem("differs from requirements.lock: " + ", ".join(wrong[:3]) + more, hint=SETUP)
    return "as requirements.lock says"


def version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def proxy(visit: Visit) -> str:
    if visit.without_hub():
        return "not part of this installation"
    if not Proxy(visit.prefix).done():
        raise Problem("not installed, or different from its lock", hint=f"Run `{HERE}`.")
    return "installed as its lock says"


def node_found(visit: Visit) -> str:
    if visit.without_hub():
        return "not part of this installation"
    program = node(visit.prefix)
    if program is None:
        raise Problem("no version 20 or newer on PATH, and none in the environment", hint=SETUP)
    done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise Problem(
            f"{program} does not run: {done.stderr.strip()[:200]}", hint="Remove .venv and run `make setup` again."
        )
    return f"{done.stdout.strip()} ({program})"


def state_folder(visit: Visit) -> str:
    folder = state_dir()
    if not folder.exists():
        return f"{folder} does not exist yet; `scnet demo` makes it"
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise Problem(
            f"{folder} can't be read and written", hint="Give it to the user who runs this, or set SCNET_HOME."
        )
    free = shutil.disk_usage(folder).free
    if free < LEAST_DISK:
        raise Problem(
            f"{folder}: {free // 2**20} MiB left on its disk",
            hint="Free some space, or set SCNET_HOME to another disk.",
        )
    saved = folder / "client.json"
    if saved.exists() and saved.stat().st_mode & 0o077:
        raise Problem(
            f"{saved} can be read by others: it holds a token",
            hint=f"chmod 600 {saved}, then restart the demo for a new token.",
        )
    return str(folder)


def broker(visit: Visit) -> str:
    with readable():
        visit.client = visit.connect()
    visit.silent = "the broker does not answer"
    health = visit.get(visit.client, "health")
    visit.silent = ""
    if not health.get("ok", True):
        raise Problem(f"{visit.client.url} reports a problem", hint="See the broker's log.")
    return f"{visit.client.url}, version {health.get('version', 'unknown')}"


def hub(visit: Visit) -> str:
    if visit.client is None:
        raise Problem(f"not asked, because {visit.silent}")
    url = hub_api(visit.client.url)
    if not url:
        return "not asked: the broker's address does not lead through a hub"
    try:
        answer = visit.get(visit.client, url)
    except BrokerError as error:
        raise Problem(f"{url} does not answer", hint="Running sessions are not affected; see the hub's log.") from error
    return f"{url}, JupyterHub {answer.get('version', 'unknown')}"


def hub_api(broker_url: str) -> str:
    """Returns the hub's API: beside the broker behind the same proxy, else the address given to the session; "" if
    neither is known."""
    before, service, _ = broker_url.partition("/services/")
    return f"{before}/hub/api" if service else os.environ.get("JUPYTERHUB_API_URL", "")


def token(visit: Visit) -> str:
    me = visit.ask("me")
    projects = ", ".join(project["id"] for project in me["projects"]) or "no project"
    return f"accepted, as {me['person']} ({projects})"


CHECKS: Checks = (
    ("python", python),
    ("environment", environment),
    ("proxy", proxy),
    ("node", node_found),
    ("state folder", state_folder),
    ("broker", broker),
    ("hub", hub),
    ("token", token),
)


def examine(visit: Visit, checks: Checks = CHECKS) -> Iterator[Finding]:
    """Yields every check's finding, then each centre's. A check that breaks is a finding and does not stop the
    others."""
    for name, check in checks:
        try:
            yield Finding(name, True, check(visit))
        except ScnetError as error:
            yield Finding(name, False, str(error), error.hint)
        except (OSError, subprocess.TimeoutExpired) as error:
            yield Finding(name, False, f"{type(error).__name__}: {error}", "The check itself failed: see the message.")
    yield from centres(visit)


def centres(visit: Visit) -> Iterator[Finding]:
    try:
        found = visit.ask("centres")["centres"]
    except ScnetError as error:
        yield Finding("centres", False, str(error), error.hint)
        return
    for centre in found:
        up = centre["state"] == "up"
        words = (
            f"up, {centre['cores_free']} of {centre['cores']} cores free"
            if up
            else f"{centre['state']}: {centre['why']}"
        )
        yield Finding(
            f"centre {centre['id']}",
            up,
            words,
            "" if up else "Other centres are not affected. Ask its operators, or ours.",
        )


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_obj
def doctor(app: App, as_json: bool) -> None:
    """Check this installation, the hub and each centre. Exit code 1 if something is not in order."""
    visit = Visit(app.connect)
    findings = []
    for finding in examine(visit):
        findings.append(finding)
        if not as_json:
            print_finding(finding)
    ok = all(finding.ok for finding in findings)
    if as_json:
        print_json({"ok": ok, "checks": [asdict(finding) for finding in findings]})
    if visit.client:
        visit.client.close()
    sys.exit(0 if ok else 1)


def print_finding(finding: Finding) -> None:
    mark = click.style("ok     ", fg="green") if finding.ok else click.style("problem", fg="red", bold=True)
    click.echo(f"{mark}  {plain(finding.name)}: {plain(finding.found)}")
    if finding.hint:
        click.echo(f"         → {plain(finding.hint)}")
