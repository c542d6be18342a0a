"""Keeps projects: their members, each member's cap, and the grants of the federation's page."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from ...adapters.db.database import Tx
from ...adapters.db.queries import projects as project_rows
from ...adapters.db.queries import sessions as session_rows
from ...adapters.db.queries.projects import MemberRow, ProjectRow
from ...domain.standard.federation import GrantSpec, ProjectSpec
from ...errors import NotEntitled, Overdrawn
from ...units import Amount, credits
from ..accounting import books


def apply(tx: Tx, specs: Iterable[ProjectSpec], at: datetime) -> None:
    """Makes the stored projects equal to those of the federation's page; a grant is given once per name. A project that
    is no longer on the page stays, with its ledger, but has no members, so no session can be started on it."""
    specs = list(specs)
    project_rows.empty_all_but(tx, [spec.id for spec in specs])
    for spec in specs:
        quota = spec.quota
        row = ProjectRow(
            id=spec.id,
            title=spec.title or spec.id,
            max_sessions=quota.sessions,
            max_cores=quota.cores,
            max_gpus=quota.gpus,
            kind=spec.kind,
        )
        project_rows.upsert(tx, row, members(spec))
        for lot, said in spec.grants.items():
            one = said if isinstance(said, GrantSpec) else GrantSpec(amount=said)
            books.grant(
                tx, spec.id, lot, credits(one.amount), at, grantor=one.grantor, expires_at=one.until,
                centres=tuple(one.centres), rate=credits(one.rate).micros,
            )  # fmt: skip
        if spec.overdraft or books.balance(tx, spec.id).overdraft:
            books.allow_overdraft(tx, spec.id, credits(spec.overdraft))


def members(spec: ProjectSpec) -> list[MemberRow]:
    """Returns everyone on the page, the PI and the managers first."""
    roles = {**dict.fromkeys([*spec.managers, *spec.members], "member"), **dict.fromkeys(spec.managers, "manager")}
    if spec.pi:
        roles = {spec.pi: "pi", **{person: role for person, role in roles.items() if person != spec.pi}}
    caps = {person: credits(amount).micros for person, amount in spec.caps.items()}
    return [MemberRow(person=person, role=role, cap=caps.get(person)) for person, role in roles.items()]


def of(tx: Tx, person: str) -> list[ProjectRow]:
    return project_rows.list_for(tx, person)


def leaders(tx: Tx, project: str) -> list[str]:
    """Returns the project's PI and managers; all its members where it has neither."""
    people = project_rows.people(tx, project)
    return [one.person for one in people if one.role != "member"] or [one.person for one in people]


def as_manager(tx: Tx, person: str, project: str) -> None:
    """Raises NotEntitled for a person who may not ask and manage for that project; where it has no PI and no manager,
    each member may."""
    leading = leaders(tx, project)
    if person in leading:
        return
    if person not in [one.person for one in project_rows.people(tx, project)]:
        raise NotEntitled(
            f"Project {project!r} does not exist or {person} is not a member of it.", code="unknown-project"
        )
    raise NotEntitled(
        f"Only {' and '.join(leading)} may do this for project {project}.", hint="Ask them.", code="not-the-manager"
    )


def leads(tx: Tx, person: str, project: str) -> bool:
    """Tells whether `as_manager` would let them."""
    try:
        as_manager(tx, person, project)
    except NotEntitled:
        return False
    return True


def oversees(tx: Tx, person: str, project: str) -> bool:
    """Tells whether they may see each member's spending in that project: its PI and managers may. Members see their own
    rows and the project's sums, also where it has neither."""
    return any(one.person == person and one.role != "member" for one in project_rows.people(tx, project))


class Cap(NamedTuple):
    """A member's cap in a project: the total, the amounts spent and held for their sessions, and the rest."""

    cap: Amount
    spent: Amount
    held: Amount

    @property
    def left(self) -> Amount:
        return max(Amount(0), self.cap - self.spent - self.held)


def cap_of(tx: Tx, project: str, person: str) -> Cap | None:
    """Returns the person's cap; None for a person without one."""
    cap = next((one.cap for one in project_rows.people(tx, project) if one.person == person), None)
    return (
        None
        if cap is None
        else Cap(Amount(cap), *(Amount(micros) for micros in session_rows.spent_by(tx, project, person)))
    )


def check_cap(tx: Tx, project: str, person: str, amount: Amount) -> None:
    """Raises Overdrawn if `amount` would be more than the project lets this person spend; held credits count."""
    found = cap_of(tx, project, person)
    if found is None:
        return
    cap, spent, held = found
    if amount > (left := found.left):
        raise Overdrawn(
            f"Project {project} lets {person} spend {cap}: {spent} are spent and {held} held; this needs up to "
            f"{amount}.",
            hint="Ask for a shorter walltime or fewer cores, stop something, or ask the project's PI for a higher cap.",
            code="over-cap", details={"needed": float(amount), "available": float(left)},
        )  # fmt: skip


def resolve(tx: Tx, person: str, wanted: str) -> ProjectRow:
    """Returns the project that a request of `person` is booked on: `wanted`, or the first. Raises NotEntitled."""
    mine = project_rows.list_for(tx, person)
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
