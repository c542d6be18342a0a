"""Projects: who is in them, what they may use at once, and the grants that the federation's page gives them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from .db import Tx
from .db import projects as stored
from .db import sessions as stored_sessions
from .db.projects import MemberRow, ProjectRow
from .errors import NotEntitled, Overdrawn, OverQuota
from .jobs import JobRequest
from .ledger import books
from .standard.federation import GrantSpec, ProjectSpec
from .units import Amount, credits


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What a project's live sessions use at once."""

    sessions: int
    cores: int
    gpus: int


def apply(tx: Tx, specs: Iterable[ProjectSpec], at: datetime) -> None:
    """Makes the stored projects be those of the federation's page; a grant of a name is given once."""
    for spec in specs:
        quota = spec.quota
        row = ProjectRow(
            id=spec.id, title=spec.title or spec.id, max_sessions=quota.sessions, max_cores=quota.cores, max_gpus=quota.gpus, kind=spec.kind
        )
        stored.put(tx, row, members(spec))
        for lot, said in spec.grants.items():
            one = said if isinstance(said, GrantSpec) else GrantSpec(amount=said)
            books.grant(
                tx, spec.id, lot, credits(one.amount), at, grantor=one.grantor, expires_at=one.until, centres=one.centres,
                rate=credits(one.rate).micros,
            )  # fmt: skip
        if spec.overdraft or books.balance(tx, spec.id).overdraft:
            books.allow_overdraft(tx, spec.id, credits(spec.overdraft))


def members(spec: ProjectSpec) -> list[MemberRow]:
    """Everybody on the page, the PI and the managers first."""
    roles = {**dict.fromkeys([*spec.managers, *spec.members], "member"), **dict.fromkeys(spec.managers, "manager")}
    if spec.pi:
        roles = {spec.pi: "pi", **{person: role for person, role in roles.items() if person != spec.pi}}
    caps = {person: credits(amount).micros for person, amount in spec.caps.items()}
    return [MemberRow(person=person, role=role, cap=caps.get(person)) for person, role in roles.items()]


def of(tx: Tx, person: str) -> list[ProjectRow]:
    return stored.of(tx, person)


def as_manager(tx: Tx, person: str, project: str) -> None:
    """Raises NotEntitled for who may not ask and manage for that project; where it has no PI and no manager, each member may."""
    people = stored.people(tx, project)
    leading = [one.person for one in people if one.role != "member"]
    if person in (leading or [one.person for one in people]):
        return
    if person not in [one.person for one in people]:
        raise NotEntitled(f"Project {project!r} does not exist or {person} is not a member of it.", code="unknown-project")
    raise NotEntitled(f"Only {' and '.join(leading)} may do this for project {project}.", hint="Ask them.", code="not-the-manager")


def check_cap(tx: Tx, project: str, person: str, amount: Amount) -> None:
    """Raises Overdrawn if that would be more than the project lets this person spend; what is held counts."""
    cap = next((one.cap for one in stored.people(tx, project) if one.person == person), None)
    if cap is None:
        return
    spent, held = (Amount(micros) for micros in stored_sessions.spent_by(tx, project, person))
    left = Amount(max(0, cap - spent.micros - held.micros))
    if amount > left:
        raise Overdrawn(
            f"Project {project} lets {person} spend {Amount(cap)}: {spent} are spent and {held} held; this needs up to {amount}.",
            hint="Ask for a shorter walltime or fewer cores, stop something, or ask the project's PI for a higher cap.",
            code="over-cap", details={"needed": float(amount), "available": float(left)},
        )  # fmt: skip


def resolve(tx: Tx, person: str, wanted: str) -> ProjectRow:
    """The project that a request of `person` is booked on: `wanted`, or the first. Raises NotEntitled."""
    mine = stored.of(tx, person)
    if not mine:
        raise NotEntitled(
            f"{person} is in no project, so there is nothing to book a session on.",
            hint="Ask the owner of a project, or the federation's operators, to add you.",
            code="no-project",
        )
    for project in mine:
        if wanted in ("", project.id):
            return project
    raise NotEntitled(
        f"Project {wanted!r} does not exist or {person} is not a member of it.",
        hint=f"Your projects: {', '.join(project.id for project in mine)}.",
        code="unknown-project",
    )


def use(tx: Tx, project: str, *, but: str = "") -> Use:
    rows = [row for row in stored_sessions.live(tx, project=project) if row.id != but]
    return Use(
        sessions=len(rows),
        cores=sum(row.request["cores"] for row in rows),
        gpus=sum(row.request["gpus"] for row in rows),
    )


def check_quota(tx: Tx, project: ProjectRow, request: JobRequest, *, instead_of: str = "") -> None:
    """Raises OverQuota, naming each ceiling it would pass and the largest size that fits now. What the session `instead_of` uses
    does not count: it ends when this begins."""
    now = use(tx, project.id, but=instead_of)
    rows = (
        ("sessions", 1, now.sessions, project.max_sessions),
        ("cores", request.cores, now.cores, project.max_cores),
        ("GPUs", request.gpus, now.gpus, project.max_gpus),
    )
    over = [(what, asked, used, most) for what, asked, used, most in rows if asked and used + asked > most]
    if not over:
        return
    what, asked, used, most = over[0]
    free = max(0, most - used)
    raise OverQuota(
        f"Project {project.id} may use {most} {what} at once; {used} are in use and this asks for {asked}.",
        hint=f"At most {free} more {what} would pass now." if free else f"Stop something first: no {what} are left.",
        details={"over": [{"what": w, "asked": a, "used": u, "limit": m, "would_pass": max(0, m - u)} for w, a, u, m in over]},
    )
