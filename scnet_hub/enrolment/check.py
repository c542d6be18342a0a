"""`scnet centres check`: checks every hop to one centre in the order of a session's life, and returns all findings as
one document.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..domain.dialects.dialect import dialect
from ..domain.standard.centre import CentreSpec
from ..domain.standard.transports import SshTransport
from ..errors import SpecError
from . import environment_hops, login_hops, network_hops, pages, scheduler_hops
from .findings import Finding, Hop, State, walk
from .visit import Visit, visiting

INNER = (*environment_hops.HOPS, *scheduler_hops.HOPS, *network_hops.HOPS, *scheduler_hops.AFTERWARDS)
ALL = (*login_hops.HOPS, *INNER)
Tell = Callable[[Finding], None]


def hops(spec: CentreSpec) -> tuple[Hop[Visit], ...]:
    """Returns the hops of a centre; a centre on this machine has no login hops."""
    return ALL if spec.transport.kind == "ssh" else INNER


async def examine(
    page: Path, home: Path, *, account: str = "", patience: float = 120.0, tell: Tell = lambda finding: None
) -> dict[str, Any]:
    """Checks every hop, calls `tell` with each finding, and returns all findings as one document. `page` is the
    centre's centre.toml, `home` the state folder."""
    try:
        spec = pages.read(page)
        dialect(spec.dialect, accounting=spec.accounting)
        _has_authority(spec, home)
    except (SpecError, OSError) as error:
        found = [_page(State.FAIL, str(error), getattr(error, "hint", "")), *(_unlooked(hop.name) for hop in ALL)]
        tell(found[0])
        return report(page.stem, account, found)
    found = [page_finding(page, spec)]
    tell(found[0])
    async with visiting(home, spec, account=account, patience=patience) as visit:
        async for finding in walk(visit, hops(spec), longest=patience + 120):
            found.append(finding)
            tell(finding)
    return report(spec.id, visit.account, found)


def _has_authority(spec: CentreSpec, home: Path) -> None:
    """Raises SpecError if the federation has no key to sign in with yet: a CA that this check made would be trusted
    nowhere."""
    needs_ca = isinstance(spec.transport, SshTransport) and not spec.transport.key_file
    if needs_ca and not (home / "secrets" / "ssh_ca").exists():
        raise SpecError(
            f"{home} has no SSH CA (secrets/ssh_ca).",
            hint="Is it the hub's state folder? `scnet centres add` makes one there.",
        )


def page_finding(page: Path, spec: CentreSpec) -> Finding:
    """Returns the finding for a page that is valid."""
    if remarks := spec.remarks():
        return _page(State.WARN, " ".join(remarks), "Give gpu_hour in the partition's tariff; 0 is free.")
    return _page(State.OK, f"{page}: {spec.name}, {spec.dialect}, {len(spec.partition)} partitions offered")


def _page(state: State, found: str, hint: str = "") -> Finding:
    return Finding(name="page", state=state, found=found, hint=hint)


def _unlooked(name: str) -> Finding:
    return Finding(name=name, state=State.SKIPPED, found="not checked: page must pass first")


def report(centre: str, account: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """Returns the findings as a document; `ok` if nothing failed."""
    ok = all(finding.state is not State.FAIL for finding in findings)
    return {"ok": ok, "centre": centre, "account": account, "checks": [finding.document() for finding in findings]}
