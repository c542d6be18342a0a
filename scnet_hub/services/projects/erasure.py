"""Forgetting a person: a random name stands where theirs stood, in everything that is stored but the books.

What they used and what was paid for it stays, and nobody can tell whose it was: which name became which is written nowhere. Entries say who
of the officers made them (`actor`) and why (`memo`); they are in the chain of hashes and stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ...adapters.db.database import Tx
from ...adapters.db.queries import persons as stored
from ...domain import identifiers
from ...domain.standard.centre import CentreSpec
from ...domain.standard.federation import FederationSpec
from ...domain.usage import serialisation
from ...errors import NotFound, Refused, plain
from .. import tokens

SHOWN = 5  # sessions that a refusal names


def pseudonym() -> str:
    """As `identity.forgotten` knows it again."""
    return f"gone-{tokens.new_id()}"


def forget(
    tx: Tx, person: str, instead: str, by: str, now: datetime, *, federation: FederationSpec, centres: Iterable[CentreSpec]
) -> dict[str, int]:
    """Puts `instead` where `person` stands; how many rows that changed, by table. Raises NotFound for who was never here, Refused while a
    page names them or a session of theirs is open."""
    if where := [*_on_page(federation, person), *(f"accounts of centre {one.id}" for one in centres if person in one.identity.accounts)]:
        raise Refused(
            f"{person} is still named on the pages: {'; '.join(where)}.",
            hint="Take them off there and restart the broker, which would write the name down again.",
            code="still-named", details={"where": where},
        )  # fmt: skip
    if waits := stored.open_sessions(tx, person):
        named = ", ".join(waits[:SHOWN]) + (", ..." if len(waits) > SHOWN else "")
        raise Refused(
            f"{person} has {len(waits)} session{'s' * (len(waits) != 1)} that run or are not charged yet: {named}.",
            hint="`scnet stop` stops them; a charge waits for the centre's usage record, `scnet orphans` shows for which.",
            code="sessions-open", details={"sessions": waits},
        )  # fmt: skip
    if not stored.known(tx, person):
        raise NotFound(
            f"Nothing is stored of anybody called {plain(person, 64)!r}.", hint="Give the name as the hub has it.", code="unknown-person"
        )
    work = stored.Eraser(tx, person, stored.aliases(tx, person), instead)
    work.memberships()
    work.end_links(by, now)
    work.letters()
    work.own(_digest)
    work.everywhere()
    return work.changed


def _on_page(page: FederationSpec, person: str) -> list[str]:
    """Where the federation's page names them."""
    found = [
        f"{what} of project {project.id}"
        for project in page.project
        for what, names in (("pi", [project.pi]), ("managers", project.managers), ("members", project.members), ("caps", project.caps))
        if person in names
    ]
    found += [f"people of member {member.id}" for member in page.member if person in member.people]
    return found + (["operators of [mail]"] if person in map(identifiers.person, page.mail.operators) else [])


def _digest(record: dict[str, Any]) -> str:
    """As `accounting.intake` takes it: that a record came too late is no word of its centre's."""
    return serialisation.usage_digest(serialisation.usage_from(record), "" if record.get("late") else record.get("doubt", ""))
