"""Erases a person: a random name replaces theirs in everything that is stored except the ledger.

Their use and its payments stay, without a link to the person: the pair of names is not stored. Ledger entries name the
officers who made them (`actor`) and why (`memo`); entries are in the chain of hashes and stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ...adapters.db.database import Tx
from ...adapters.db.queries import persons as person_rows
from ...domain import identifiers
from ...domain.standard.centre import CentreSpec
from ...domain.standard.federation import FederationSpec
from ...domain.usage import serialisation
from ...errors import NotFound, Refused, plain
from .. import tokens

SHOWN = 5  # sessions that a refusal names


def pseudonym() -> str:
    """Returns a random name that `identifiers.forgotten` recognises."""
    return f"gone-{tokens.new_id()}"


def forget(
    tx: Tx,
    person: str,
    instead: str,
    by: str,
    now: datetime,
    *,
    federation: FederationSpec,
    centres: Iterable[CentreSpec],
) -> dict[str, int]:
    """Replaces `person` by `instead`. Returns the number of changed rows, by table. Raises NotFound for an unknown
    person, Refused while a page names them or a session of theirs is open."""
    if where := [
        *_on_page(federation, person),
        *(f"accounts of centre {one.id}" for one in centres if person in one.identity.accounts),
    ]:
        raise Refused(
            f"{person} is still named on the pages: {'; '.join(where)}.",
            hint="Remove the name from them and restart the broker, which would otherwise store the name again.",
            code="still-named", details={"where": where},
        )  # fmt: skip
    if waits := person_rows.open_sessions(tx, person):
        named = ", ".join(waits[:SHOWN]) + (", ..." if len(waits) > SHOWN else "")
        raise Refused(
            f"{person} has {len(waits)} session{'s' * (len(waits) != 1)} still running or not charged yet: {named}.",
            hint="`scnet stop` stops them; a charge waits for the centre's usage record, `scnet orphans` shows for "
            "which.",
            code="sessions-open", details={"sessions": waits},
        )  # fmt: skip
    if not person_rows.known(tx, person):
        raise NotFound(
            f"No data is stored about {plain(person, 64)!r}.",
            hint="Give the name as the hub has it.",
            code="unknown-person",
        )
    work = person_rows.Eraser(tx, person, person_rows.aliases(tx, person), instead)
    work.memberships()
    work.end_links(by, now)
    work.letters()
    work.own(_digest)
    work.everywhere()
    return work.changed


def _on_page(page: FederationSpec, person: str) -> list[str]:
    """Returns the places in the federation's page that name the person."""
    found = [
        f"{what} of project {project.id}"
        for project in page.project
        for what, names in (
            ("pi", [project.pi]),
            ("managers", project.managers),
            ("members", project.members),
            ("caps", project.caps),
        )
        if person in names
    ]
    found += [f"people of member {member.id}" for member in page.member if person in member.people]
    return found + (["operators of [mail]"] if person in map(identifiers.person, page.mail.operators) else [])


def _digest(record: dict[str, Any]) -> str:
    """Computes the digest as `accounting.intake` does, which leaves out that a record came too late: that is not the
    centre's statement."""
    return serialisation.usage_digest(
        serialisation.usage_from(record), "" if record.get("late") else record.get("doubt", "")
    )
