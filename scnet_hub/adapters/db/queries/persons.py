"""Where people stand in the database, and how one is taken out of it. A name becomes another one; no row goes but proofs, memberships and
mails that were never sent. The books (entries, postings, the chain) are not touched.

Each text and document of `tables` that can name somebody stands in one of the tables below. In prose and documents the name counts as a
word of its own only: "ada" is not in "Canada".
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
    sessions.c.person, accounts.c.person, accounts.c.linked_by, accounts.c.ended_by, decisions.c.person, allocations.c.asked_by,
    allocations.c.decided_by, statements.c.answered_by, usage.c.decided_by, periods.c.closed_by, manifests.c.excused_by,
)  # fmt: skip
# Columns of rows that go, or are emptied by themselves.
TAKEN: tuple[Column[Any], ...] = (members.c.person, proofs.c.person, proofs.c.account, mails.c.person, mails.c.key)
# What is the person's own: the names that centres know them by, prose, documents.
OWN_ACCOUNTS: tuple[Column[Any], ...] = (accounts.c.account, copies.c.account)
OWN: Mapping[Table, tuple[Column[Any], ...]] = {
    sessions: (
        sessions.c.name, sessions.c.why, sessions.c.end_reason, sessions.c.lease_end, sessions.c.request, sessions.c.placement,
        sessions.c.payload,
    ),
    copies: (copies.c.job_end, copies.c.reason, copies.c.unknown_why),
    events: (events.c.message,),
    decisions: (decisions.c.said, decisions.c.reason, decisions.c.request, decisions.c.answer, decisions.c.inputs),
    usage: (usage.c.record,),
}  # fmt: skip
# Prose in which anybody may be named, whosever row it is.
PROSE: tuple[Column[Any], ...] = (
    allocations.c.words, allocations.c.answer, statements.c.words, statements.c.trail, usage.c.reason, usage.c.decision, manifests.c.excuse,
    mails.c.subject, mails.c.body, mails.c.trouble,
)  # fmt: skip
WHO = frozenset({"person", "account", "name", "ended_by", "decided_by"})  # keys of documents whose whole value may be a person


def known(tx: Tx, person: str) -> bool:
    """Whether anything is stored under that name."""
    whose = (*NAMES, members.c.person, proofs.c.person, mails.c.person)
    return any(tx.execute(select(column).where(column == person).limit(1)).first() for column in whose)


def open_sessions(tx: Tx, person: str) -> list[str]:
    """Sessions that live, have a job at a centre, or are not charged yet; oldest first."""
    at_a_centre = sessions.c.id.in_(select(copies.c.session).where(copies.c.job_live))
    wanted = (sessions.c.person == person, or_(sessions.c.live, sessions.c.charged.is_(None), at_a_centre))
    return list(tx.execute(select(sessions.c.id).where(*wanted).order_by(sessions.c.created_at)).scalars())


def aliases(tx: Tx, person: str) -> set[str]:
    """As whom centres know, or knew, this person: by links, and by their jobs."""
    linked = tx.execute(select(accounts.c.account).where(accounts.c.person == person)).scalars()
    ran = select(copies.c.account).join_from(copies, sessions, copies.c.session == sessions.c.id).where(sessions.c.person == person)
    return {str(one) for one in (*linked, *tx.execute(ran.distinct()).scalars())} - {""}


class Eraser:
    """Puts `instead` where `person` stands, and where their `aliases` do in what is their own. `changed`: rows by table."""

    def __init__(self, tx: Tx, person: str, aliases: Iterable[str], instead: str) -> None:
        self.tx, self.person, self.instead = tx, person, instead
        self.names = {person, *aliases}
        self._one, self._all = words({person}), words(self.names, own=True)
        self._changed: dict[str, set[Any]] = {}

    @property
    def changed(self) -> dict[str, int]:
        return {name.removeprefix("scnet_"): len(keys) for name, keys in sorted(self._changed.items()) if keys}

    # ---- the steps, in the order in which they find what they look for

    def memberships(self) -> None:
        self._delete(members, members.c.person == self.person)
        self._delete(proofs, proofs.c.person == self.person)

    def end_links(self, by: str, at: datetime) -> None:
        self._write(accounts, and_(accounts.c.person == self.person, accounts.c.ended_at.is_(None)), {"ended_by": by, "ended_at": at})

    def letters(self) -> None:
        """To them: those that did not go out are gone, of the others stays that there was one."""
        mine = mails.c.person == self.person
        self._delete(mails, and_(mine, mails.c.sent_at.is_(None)))
        for number, (key,) in enumerate(self._keys(mails, mine)):
            values = {"key": f"{self.instead}/{number}", "person": self.instead, "subject": "", "body": "", "trouble": ""}
            self._write(mails, mails.c.key == key, values)

    def own(self, digest: Callable[[Json], str]) -> None:
        """What their sessions and decisions say. `digest` is what a usage record that changed is known by from then on."""
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
        """In the words of others, and wherever a column names them."""
        for column in PROSE:
            table: Any = column.table
            self._rewrite(table, column.contains(self.person, autoescape=True), (column,), {self.person}, self._one)
        for column in NAMES:
            self._write(column.table, column == self.person, {column.name: self.instead})

    # ---- how

    def _keys(self, table: Any, where: ColumnElement[bool]) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.tx.execute(select(*table.primary_key).where(where).order_by(*table.primary_key))]

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
        """Row by row, since what a row says is looked at here: a database can't tell words from parts of words."""
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
    """The same text or document without those names. A value that *is* a name goes only where people are said (`WHO`), or as the whole of
    a column: a partition may be called as somebody is."""
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
    """Any of them as a word of its own, the longest first. In what is the person's `own`, "ada-lab" and "ada@north.example" name ada; what
    others write may be of somebody else."""
    either = "|".join(re.escape(one) for one in sorted(names, key=len, reverse=True))
    before, after = (r"(?<!\w)", r"(?!\w)") if own else (r"(?<![\w@.-])", r"(?![\w@-]|\.\w)")
    return re.compile(f"{before}(?:{either}){after}")
