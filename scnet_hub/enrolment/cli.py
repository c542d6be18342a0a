"""`scnet centres add`, `check`, `deploy`, `pages`, `remove` and `schema`: an operator's commands, run on the hub's
machine against the state folder. Loaded when one of them is called.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..adapters.transport.certificates import CertificateAuthority
from ..cli.app import Answer, fail, plain, print_json, print_table
from ..client.rest import state_dir
from ..domain.standard.centre import CentreSpec
from ..domain.standard.transports import SshTransport
from ..errors import ScnetError
from ..units import parse_walltime
from . import pages
from .check import examine
from .findings import Finding, State
from .live_sessions import refuse_while_lived_in

MARKS = {
    State.OK: ("ok", "green"),
    State.WARN: ("warn", "yellow"),
    State.FAIL: ("fail", "red"),
    State.SKIPPED: ("skipped", "bright_black"),
}


def operating(function: Callable[..., Answer]) -> Callable[..., None]:
    """Makes a command on the state folder, which receives `home` and `as_json` first. Errors of errors.py end the
    command with code 1."""

    @click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        default=None,
        help="State folder; default: SCNET_HOME or .scnet here.",
    )
    @click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
    @functools.wraps(function)
    def command(home: Path | None, as_json: bool, **options: Any) -> None:
        # the findings repeat the log of the transports
        logging.getLogger("scnet_hub").addHandler(logging.NullHandler())
        try:
            answer = function((home or state_dir()).resolve(), as_json, **options)
        except ScnetError as error:
            fail(error, as_json=as_json)
        if as_json:
            print_json(answer.document)
        else:
            answer.print_text()
        if not answer.ok:
            sys.exit(1)

    return command


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--replace", is_flag=True, help="Replace another page with the same id.")
@operating
def add(home: Path, as_json: bool, file: Path, replace: bool) -> Answer:
    """Add a centre's page (centre.toml)."""
    taken = pages.add(file, home, replace=replace)
    spec, path = taken.spec, taken.path
    steps = [] if taken.at_once else next_steps(spec, home)
    document = {
        "centre": spec.id,
        "page": str(path),
        "counts": taken.counts(),
        "remarks": spec.remarks(),
        "next": steps,
    }

    def print_added() -> None:
        click.echo(f"{plain(spec.name)} is added: {path}. {taken.counts()}{' Before that:' if steps else ''}")
        for step in steps:
            click.echo(f"  - {plain(step)}")
        for remark in spec.remarks():
            click.echo(f"Probably missing: {plain(remark)}")

    return Answer(document, print_added)


def next_steps(spec: CentreSpec, home: Path) -> list[str]:
    """Returns the steps to do after `add`, in order."""
    steps = []
    if pages.federation(home) is None:
        steps.append(
            f'There is no {home / "federation.toml"} yet: write this file, with the line centres = ["centres/*.toml"].'
        )
    way = spec.transport
    if isinstance(way, SshTransport):
        if way.key_file and not (home / way.key_file).exists():
            key = home / way.key_file
            steps.append(
                f"Make the federation's key for this centre: ssh-keygen -t ed25519 -N '' -C scnet-hub -f {key}; "
                f"the centre gets {key}.pub."
            )
        if not way.key_file or spec.identity.mode == "certificate":
            steps.append(
                "The centre must trust the federation's CA (TrustedUserCAKeys): "
                f"{CertificateAuthority.open(home).public}"
            )
    return [*steps, f"scnet centres check {spec.id}", f"scnet centres deploy {spec.id}"]


@click.command("pages")
@operating
def list_pages(home: Path, as_json: bool) -> Answer:
    """List the centres whose pages are here."""
    found = list(pages.listing(home))

    def print_pages() -> None:
        if not found:
            click.echo(f"No page in {home / 'centres'}: `scnet centres add FILE`.")
            return
        rows = [
            (page.id, page.name, page.dialect, page.reached, page.identity, "yes" if page.listed else "no", page.wrong)
            for page in found
        ]
        print_table(["centre", "name", "dialect", "reached by", "accounts", "listed", "wrong"], rows)

    return Answer(
        {"centres": [page.document() for page in found]}, print_pages, ok=not any(page.wrong for page in found)
    )


@click.command()
@click.argument("name", metavar="ID")
@click.option("--force", is_flag=True, help="Even if the broker can't be asked for live sessions there.")
@operating
def remove(home: Path, as_json: bool, name: str, force: bool) -> Answer:
    """Remove a centre's page, if no session lives there."""
    refuse_while_lived_in(name, home, force=force)
    kept = pages.remove(name, home)
    document = {"centre": name, "kept": str(kept)}
    return Answer(
        document,
        lambda: click.echo(
            f"{name} is removed; its page is kept as {kept}. The change takes effect at the broker's next start."
        ),
    )


@click.command()
@click.argument("name", metavar="ID|FILE")
@click.option("--account", default="", help="Account for the trial jobs; default: the first account on the page.")
@click.option("--patience", default="2m", help="How long a job may wait in the queue.")
@click.option("--conformance", is_flag=True, help="Also run the conformance suite: about a dozen jobs, a few minutes.")
@operating
def check(home: Path, as_json: bool, name: str, account: str, patience: str, conformance: bool) -> Answer:
    """Check every hop to a centre and say what to fix. Exit code 1 if something failed."""
    seconds = parse_walltime(patience, option="patience").total_seconds()
    page = pages.find(name, home)
    tell: Callable[[Finding], None] = (lambda finding: None) if as_json else print_finding
    report = asyncio.run(examine(page, home, account=account, patience=seconds, tell=tell))
    if conformance and report["ok"]:
        report = _with_conformance(report, page, home, tell)
    return Answer(report, lambda: click.echo(summary(report)), ok=bool(report["ok"]))


def _with_conformance(
    report: dict[str, Any], page: Path, home: Path, tell: Callable[[Finding], None]
) -> dict[str, Any]:
    """Returns the report with one more finding. pytest's own output goes to stderr."""
    import contextlib

    from ..conformance import check as conforms

    with contextlib.redirect_stdout(sys.stderr):
        code = conforms(page, account=report["account"], folder=home)
    state, found = (
        (State.OK, "every test of the suite passed") if code == 0 else (State.FAIL, "see the suite's output above")
    )
    finding = Finding(name="conformance", state=state, found=found)
    tell(finding)
    return {**report, "ok": code == 0, "checks": [*report["checks"], finding.document()]}


@click.command()
@click.argument("name", metavar="ID|FILE")
@click.option("--account", default="", help="Account for the trial job; default: the first account on the page.")
@click.option(
    "--python",
    "named",
    default="",
    help="The centre's Python to build on; default: the newest on its PATH that this machine also has.",
)
@click.option("--patience", default="10m", help="How long the trial job may wait in the queue.")
@click.option("--dry-run", "dry", is_flag=True, help="Only show what would be installed where.")
@operating
def deploy(home: Path, as_json: bool, name: str, account: str, named: str, patience: str, dry: bool) -> Answer:
    """Install the session environment there, try it with a real session, and put it into use only then."""
    from .deploy import deploy as put_there

    spec = pages.read(pages.find(name, home))
    seconds = parse_walltime(patience, option="patience").total_seconds()
    work = put_there(
        spec,
        home,
        lambda words: click.echo(f"… {words}", err=True),
        account=account,
        named=named,
        dry=dry,
        patience=seconds,
    )
    document = asyncio.run(work)
    words = (
        f"{spec.name} has its session environment: {document['link']}"
        if document["done"]
        else f"The session environment would be installed at {document['path']}"
    )
    return Answer(document, lambda: click.echo(f"{words} ({document['environment']})."))


@click.command()
@click.option("--page", "as_page", is_flag=True, help="The reference for people, in Markdown.")
def schema(as_page: bool) -> None:
    """Print the JSON Schema of a centre's page, for editors."""
    from ..domain.standard import reference

    click.echo(reference.page() if as_page else reference.schema_text(), nl=False)


def print_finding(finding: Finding) -> None:
    word, colour = MARKS[finding.state]
    click.echo(
        f"{click.style(f'{word:7}', fg=colour, bold=finding.state is State.FAIL)}  {plain(finding.name)}: "
        f"{plain(finding.found)}"
    )
    if finding.hint:
        click.echo(f"         → {plain(finding.hint)}")


def summary(report: dict[str, Any]) -> str:
    count = {state.value: sum(check["state"] == state.value for check in report["checks"]) for state in State}
    if report["ok"]:
        return f"\n{report['centre']} is in order" + (f"; {count['warn']} to look at." if count["warn"] else ".")
    return f"\n{report['centre']} is not in order: {count['fail']} to fix" + (
        f", {count['skipped']} not checked." if count["skipped"] else "."
    )
