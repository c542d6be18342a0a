"""`scnet centre`: an operator's commands, run on the hub's machine against the state folder. Loaded when one of them is called."""

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
from ..domain.standard.centre import CentreSpec, SshTransport
from ..errors import ScnetError
from ..units import parse_walltime
from . import pages
from .check import examine
from .findings import Finding, State
from .live_sessions import refuse_while_lived_in

MARKS = {State.OK: ("ok", "green"), State.WARN: ("warn", "yellow"), State.FAIL: ("fail", "red"), State.SKIPPED: ("skipped", "bright_black")}


@click.group()
def centre() -> None:
    """Join a centre to the federation: its page, its check, its session environment."""
    logging.getLogger("scnet_hub").addHandler(logging.NullHandler())  # what its transports log is what the findings say


def operating(function: Callable[..., Answer]) -> Callable[..., None]:
    """A command on the state folder: it gets `home` and `say` (progress, on stderr) first. Errors of errors.py end it with code 1."""

    @click.option(
        "--home", type=click.Path(path_type=Path, file_okay=False), default=None, help="State folder; default: SCNET_HOME or .scnet here."
    )
    @click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
    @functools.wraps(function)
    def command(home: Path | None, as_json: bool, **options: Any) -> None:
        try:
            answer = function((home or state_dir()).resolve(), as_json, **options)
        except ScnetError as error:
            fail(error, as_json=as_json)
        if as_json:
            print_json(answer.document)
        else:
            answer.show()
        if not answer.ok:
            sys.exit(1)

    return command


@centre.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--replace", is_flag=True, help="Take the place of another page of that id.")
@operating
def add(home: Path, as_json: bool, file: Path, replace: bool) -> Answer:
    """Take in a centre's page (centre.toml)."""
    taken = pages.add(file, home, replace=replace)
    spec, path = taken.spec, taken.path
    steps = [] if taken.at_once else next_steps(spec, home)
    document = {"centre": spec.id, "page": str(path), "counts": taken.counts(), "remarks": spec.remarks(), "next": steps}

    def show() -> None:
        click.echo(f"{plain(spec.name)} is taken in: {path}. {taken.counts()}{' Before that:' if steps else ''}")
        for step in steps:
            click.echo(f"  - {plain(step)}")
        for remark in spec.remarks():
            click.echo(f"Probably forgotten: {plain(remark)}")

    return Answer(document, show)


def next_steps(spec: CentreSpec, home: Path) -> list[str]:
    """What is to be done after `add`, in order."""
    steps = []
    if pages.federation(home) is None:
        steps.append(f'There is no {home / "federation.toml"} yet: write one that says centres = ["centres/*.toml"].')
    way = spec.transport
    if isinstance(way, SshTransport):
        if way.key_file and not (home / way.key_file).exists():
            key = home / way.key_file
            steps.append(
                f"Make the federation's key for this centre: ssh-keygen -t ed25519 -N '' -C scnet-hub -f {key}; the centre gets {key}.pub."
            )
        if not way.key_file or spec.identity.mode == "certificate":
            steps.append(f"The centre trusts the federation's CA (TrustedUserCAKeys): {CertificateAuthority.open(home).public}")
    return [*steps, f"scnet centre check {spec.id}", f"scnet centre deploy {spec.id}"]


@centre.command("list")
@operating
def list_pages(home: Path, as_json: bool) -> Answer:
    """The centres whose pages are here."""
    found = list(pages.listing(home))

    def show() -> None:
        if not found:
            click.echo(f"No page in {home / 'centres'}: `scnet centre add FILE`.")
            return
        rows = [
            (page.id, page.name, page.dialect, page.reached, page.identity, "yes" if page.listed else "no", page.wrong) for page in found
        ]
        print_table(["centre", "name", "dialect", "reached by", "accounts", "listed", "wrong"], rows)

    return Answer({"centres": [page.document() for page in found]}, show, ok=not any(page.wrong for page in found))


@centre.command()
@click.argument("name", metavar="ID")
@click.option("--force", is_flag=True, help="Though the broker can't be asked who lives there.")
@operating
def remove(home: Path, as_json: bool, name: str, force: bool) -> Answer:
    """Take a centre's page out, if no session lives there."""
    refuse_while_lived_in(name, home, force=force)
    kept = pages.remove(name, home)
    document = {"centre": name, "kept": str(kept)}
    return Answer(document, lambda: click.echo(f"{name} is taken out; its page is kept as {kept}. It counts at the broker's next start."))


@centre.command()
@click.argument("name", metavar="ID|FILE")
@click.option("--account", default="", help="Whose jobs are tried; default: the first account on the page.")
@click.option("--patience", default="2m", help="For how long a job may wait in the queue.")
@click.option("--conformance", is_flag=True, help="Then run the conformance suite: some dozen jobs, a few minutes.")
@operating
def check(home: Path, as_json: bool, name: str, account: str, patience: str, conformance: bool) -> Answer:
    """Walk every hop to a centre and say what to mend. Exit code 1 if something failed."""
    seconds = parse_walltime(patience, option="patience").total_seconds()
    page = pages.find(name, home)
    tell: Callable[[Finding], None] = (lambda finding: None) if as_json else show_finding
    report = asyncio.run(examine(page, home, account=account, patience=seconds, tell=tell))
    if conformance and report["ok"]:
        report = _with_conformance(report, page, home, tell)
    return Answer(report, lambda: click.echo(summary(report)), ok=bool(report["ok"]))


def _with_conformance(report: dict[str, Any], page: Path, home: Path, tell: Callable[[Finding], None]) -> dict[str, Any]:
    """The report with one finding more. pytest's own words go to stderr."""
    import contextlib

    from ..conformance import check as conforms

    with contextlib.redirect_stdout(sys.stderr):
        code = conforms(page, account=report["account"], folder=home)
    state, found = (State.OK, "every test of the suite passed") if code == 0 else (State.FAIL, "see the suite's own words above")
    finding = Finding(name="conformance", state=state, found=found)
    tell(finding)
    return {**report, "ok": code == 0, "checks": [*report["checks"], finding.document()]}


@centre.command()
@click.argument("name", metavar="ID|FILE")
@click.option("--account", default="", help="Whose job tries it; default: the first account on the page.")
@click.option(
    "--python", "named", default="", help="The centre's Python to build on; default: the newest on its PATH that this machine has too."
)
@click.option("--patience", default="10m", help="For how long the trial job may wait in the queue.")
@click.option("--dry-run", "dry", is_flag=True, help="Only say what would be put where.")
@operating
def deploy(home: Path, as_json: bool, name: str, account: str, named: str, patience: str, dry: bool) -> Answer:
    """Put the session environment there, try it by a real session, and only then put it into use."""
    from .deploy import deploy as put_there

    spec = pages.read(pages.find(name, home))
    seconds = parse_walltime(patience, option="patience").total_seconds()
    work = put_there(spec, home, lambda words: click.echo(f"… {words}", err=True), account=account, named=named, dry=dry, patience=seconds)
    document = asyncio.run(work)
    words = f"{spec.name} has its session environment: {document['link']}" if document["done"] else f"It would be put at {document['path']}"
    return Answer(document, lambda: click.echo(f"{words} ({document['environment']})."))


@centre.command()
@click.option("--page", "as_page", is_flag=True, help="The reference for people, in Markdown.")
def schema(as_page: bool) -> None:
    """Print the JSON Schema of a centre's page, for editors."""
    from ..domain.standard import reference

    click.echo(reference.page() if as_page else reference.schema_text(), nl=False)


def show_finding(finding: Finding) -> None:
    word, colour = MARKS[finding.state]
    click.echo(f"{click.style(f'{word:7}', fg=colour, bold=finding.state is State.FAIL)}  {plain(finding.name)}: {plain(finding.found)}")
    if finding.hint:
        click.echo(f"         → {plain(finding.hint)}")


def summary(report: dict[str, Any]) -> str:
    count = {state.value: sum(check["state"] == state.value for check in report["checks"]) for state in State}
    if report["ok"]:
        return f"\n{report['centre']} is in order" + (f"; {count['warn']} worth a look." if count["warn"] else ".")
    return f"\n{report['centre']} is not in order: {count['fail']} to mend" + (
        f", {count['skipped']} not looked at." if count["skipped"] else "."
    )
