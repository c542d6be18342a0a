"""Where the database holds people's names, and how a name is erased. Erasing replaces a name with another; no row is
deleted but proofs, memberships and unsent mails. The books (entries, postings, the chain) are not touched.

Each text and document of `tables` that can name a person is listed below. In prose and documents the name counts only
as a word of its own: "ada" is not in "Canada".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, and_, delete, or_, select, update

from ..database import Tx
from ..tables import (
    accounts,
    allocations,
    copies,
    decisions,
    events,
    mails,
    manifests,
    members,
    periods,
    proofs,
    sessions,
    statements,
    usage,
)

Json = dict[str, Any]

# Columns that hold a person's name and nothing else.
NAMES: tuple[Column[Any], ...] = (
    sessions.c.person, accounts.c.person, accounts.c.linked_by, accounts.c.ended_by, decisions.c.person,
    allocations.c.asked_by, allocations.c.decided_by, statements.c.answered_by, usage.c.decided_by, periods.c.closed_by,
    manifests.c.excused_by,
)  # fmt: skip
# Columns of rows that are deleted or emptied anyway.
TAKEN: tuple[Column[Any], ...] = (members.c.person, proofs.c.person, proofs.c.account, mails.c.person, mails.c.key)
# The person's own data: the names that centres know the person by, prose, documents.
OWN_ACCOUNTS: tuple[Column[Any], ...] = (accounts.c.account, copies.c.account)
OWN: Mapping[Table, tuple[Column[Any], ...]] = {
    sessions: (
        sessions.c.name, sessions.c.why, sessions.c.end_reason, sessions.c.lease_end_reason, sessions.c.request,
        sessions.c.placement, sessions.c.payload,
    ),
    copies: (copies.c.end_reason, copies.c.reason, copies.c.unknown_why),
    events: (events.c.message,),
    decisions: (decisions.c.said, decisions.c.reason, decisions.c.request, decisions.c.answer, decisions.c.inputs),
    usage: (usage.c.record,),
}  # fmt: skip
# Prose in which any person may be named, whoever owns the row.
PROSE: tuple[Column[Any], ...] = (
    allocations.c.words, allocations.c.answer, statements.c.words, statements.c.trail, usage.c.reason, usage.c.decision,
    manifests.c.excuse, mails.c.subject, mails.c.body, mails.c.trouble,
)  # fmt: skip
# keys of documents whose whole value may be a person
WHO = frozenset({"person", "account", "name", "ended_by", "decided_by"})


def known(tx: Tx, person: str) -> bool:
    """Returns whether anything is stored under that name."""
    whose = (*NAMES, members.c.person, proofs.c.person, mails.c.person)
    return any(tx.execute(select(column).where(column == person).limit(1)).first() for column in whose)


def open_sessions(tx: Tx, person: str) -> list[str]:
    """Returns sessions that live, have a job at a centre, or are not charged yet; oldest first."""
    at_a_centre = sessions.c.id.in_(select(copies.c.session).where(copies.c.live))
    wanted = (sessions.c.person == person, or_(sessions.c.live, sessions.c.charged.is_(None), at_a_centre))
    return list(tx.execute(select(sessions.c.id).where(*wanted).order_by(sessions.c.created_at)).scalars())


def aliases(tx: Tx, person: str) -> set[str]:
    """Returns the accounts by which centres know, or knew, this person: from links and from jobs."""
    linked = tx.execute(select(accounts.c.account).where(accounts.c.person == person)).scalars()
    ran = (
        select(copies.c.account)
        .join_from(copies, sessions, copies.c.session == sessions.c.id)
        .where(sessions.c.person == person)
    )
    return {str(one) for one in (*linked, *tx.execute(ran.distinct()).scalars())} - {""}


class Eraser:
    """Replaces `person` with `instead` everywhere, and the `aliases` in the person's own data. `changed`: rows by
    table."""

    def __init__(self, tx: Tx, person: str, aliases: Iterable[str], instead: str) -> None:
        self.tx, self.person, self.instead = tx, person, instead
        self.names = {person, *aliases}
        self._one, self._all = words({person}), words(self.names, own=True)
        self._changed: dict[str, set[Any]] = {}

    @property
    def changed(self) -> dict[str, int]:
        return {name.removeprefix("scnet_"): len(keys) for name, keys in sorted(self._changed.items()) if keys}

    # ---- the steps, in the order in which they find the rows that they need

    def memberships(self) -> None:
        self._delete(members, members.c.person == self.person)
        self._delete(proofs, proofs.c.person == self.person)

    def end_links(self, by: str, at: datetime) -> None:
        self._write(
            accounts,
            and_(accounts.c.person == self.person, accounts.c.ended_at.is_(None)),
            {"ended_by": by, "ended_at": at},
        )

    def letters(self) -> None:
        """Deletes the person's mails that were not sent; of sent mails only the fact remains."""
        mine = mails.c.person == self.person
        self._delete(mails, and_(mine, mails.c.sent_at.is_(None)))
        for number, (key,) in enumerate(self._keys(mails, mine)):
            values = {
                "key": f"{self.instead}/{number}",
                "person": self.instead,
                "subject": "",
                "body": "",
                "trouble": "",
            }
            self._write(mails, mails.c.key == key, values)

    def own(self, digest: Callable[[Json], str]) -> None:
        """Rewrites the person's sessions and decisions. `digest` computes the new digest of a usage record that
        changed."""
        mine = select(sessions.c.id).where(sessions.c.person == self.person)
        cancelled = usage.c.record["ended_by"].as_string().in_(self.names)
        whose: dict[Any, ColumnElement[bool]] = {
            accounts: accounts.c.person == self.person,
            usage: or_(usage.c.session.in_(mine), cancelled),
            copies: copies.c.session.in_(mine),
            events: events.c.session.in_(mine),
            decisions: decisions.c.person == self.person,
            sessions: sessions.c.person == self.person,
        }
        for table, columns in OWN.items():
            self._rewrite(table, whose[table], columns, self.names, self._all, digest)
        for column in OWN_ACCOUNTS:
            self._write(column.table, whose[column.table], {column.name: self.instead})
        self.tx.execute(update(sessions).where(whose[sessions]).values(version=sessions.c.version + 1))

    def everywhere(self) -> None:
        """Rewrites what others wrote, and every column that names the person."""
        for column in PROSE:
            table: Any = column.table
            self._rewrite(table, column.contains(self.person, autoescape=True), (column,), {self.person}, self._one)
        for column in NAMES:
            self._write(column.table, column == self.person, {column.name: self.instead})

    # ---- how rows are changed

    def _keys(self, table: Any, where: ColumnElement[bool]) -> list[tuple[Any, ...]]:
        return [
            tuple(row) for row in self.tx.execute(select(*table.primary_key).where(where).order_by(*table.primary_key))
        ]

    def _note(self, table: Any, keys: Iterable[Any]) -> None:
        self._changed.setdefault(table.name, set()).update(keys)

    def _delete(self, table: Any, where: ColumnElement[bool]) -> None:
        self._note(table, self._keys(table, where))
        self.tx.execute(delete(table).where(where))

    def _write(self, table: Any, where: ColumnElement[bool], values: Json) -> None:
        found = self._keys(table, where)
        if found:
            self._note(table, [(values["key"],)] if "key" in values else found)
            self.tx.execute(update(table).where(where).values(**values))

    def _rewrite(
        self,
        table: Any,
        where: ColumnElement[bool],
        columns: tuple[Column[Any], ...],
        names: set[str],
        pattern: re.Pattern[str],
        digest: Callable[[Json], str] | None = None,
    ) -> None:
        """Rewrites row by row, because the text is examined here: a database can't tell words from parts of words."""
        for key in self._keys(table, where):
            this = and_(*(column == value for column, value in zip(table.primary_key, key, strict=True)))
            before = self.tx.execute(select(*columns).where(this)).one()._mapping
            after = {name: erased(value, "", names, pattern, self.instead) for name, value in before.items()}
            values = {name: value for name, value in after.items() if value != before[name]}
            if digest and "record" in values:
                values["digest"] = digest(values["record"])
            if values:
                self._note(table, [key])
                self.tx.execute(update(table).where(this).values(**values))


def erased(value: Any, key: str, names: set[str], pattern: re.Pattern[str], instead: str) -> Any:
    """Returns the text or document without those names. A value that *is* a name is replaced only under a key for
    people (`WHO`), or as the whole value of a column: a partition may have the same name as a person."""
    if isinstance(value, Mapping):
        return {name: erased(one, str(name), names, pattern, instead) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [erased(one, f"{key}[]", names, pattern, instead) for one in value]
    if not isinstance(value, str):
        return value
    if value in names:
        return instead if not key or key in WHO else value
    return pattern.sub(instead, value)


def words(names: Iterable[str], *, own: bool = False) -> re.Pattern[str]:
    """Returns a pattern for any of the names as a word of its own, longest first. In the person's `own` data, "ada-lab"
    and "ada@north.example" name ada; in other people's data they may mean another person."""
    either = "|".join(re.escape(one) for one in sorted(names, key=len, reverse=True))
    before, after = (r"(?<!\w)", r"(?!\w)") if own else (r"(?<![\w@.-])", r"(?![\w@-]|\.\w)")
    return re.compile(f"{before}(?:{either}){after}")
