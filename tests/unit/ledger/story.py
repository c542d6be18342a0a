"""Everything that may happen to a project's books, drawn by Hypothesis and applied to `books` step by step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from scnet_hub.adapters.db.database import Tx
from scnet_hub.adapters.db.queries import lots as lot_rows
from scnet_hub.errors import KeyTaken, Overdrawn
from scnet_hub.services.accounting import books, sealing
from scnet_hub.units import CREDIT, Amount

NOW = datetime(2026, 11, 23, tzinfo=UTC)
CENTRES, LOTS, SESSIONS, UNITS = "ab", "xyz", 4, (CREDIT, "CNY")

_micros = st.integers(1, 30)
_session = st.integers(1, SESSIONS)
_centre = st.sampled_from(CENTRES)
_project = st.sampled_from("pq")
STEPS = st.one_of(
    st.tuples(
        st.just("grant"), _project, st.sampled_from(LOTS), _micros, st.sampled_from((None, 1, 3)),
        st.sampled_from(("", "a")), st.sampled_from(UNITS),
    ),
    st.tuples(st.just("overdraft"), _project, st.integers(0, 10)),
    st.tuples(st.just("hold"), _project, _session, st.integers(-10, 30), _centre),
    st.tuples(st.just("charge"), _session, _centre, st.integers(0, 40), st.booleans()),
    st.tuples(st.just("release"), _session),
    st.tuples(st.just("reverse"), st.integers(1, 5)),
    st.tuples(st.just("later"), st.integers(1, 2)),
    st.tuples(st.just("expire")),
    st.tuples(st.just("seal")),
)  # fmt: skip
STORIES = st.lists(STEPS, min_size=4, max_size=16)


@dataclass
class Teller:
    """Tells a story in one transaction, and remembers what was done."""

    tx: Tx
    now: datetime = NOW
    held: dict[int, str] = field(default_factory=dict)  # sessions' projects
    over: set[int] = field(default_factory=set)
    charged: list[str] = field(default_factory=list)
    refused: int = 0

    def tell(self, step: tuple[Any, ...]) -> None:
        getattr(self, step[0])(*step[1:])

    def grant(self, project: str, lot: str, micros: int, days: int | None, centre: str, unit: str) -> None:
        until = None if days is None else self.now + timedelta(days=days)
        books.grant(self.tx, project, lot, Amount(micros, unit), self.now, expires_at=until, centres=tuple(centre))

    def overdraft(self, project: str, micros: int) -> None:
        books.allow_overdraft(self.tx, project, Amount(micros))

    def hold(self, project: str, session: int, micros: int, centre: str) -> None:
        project = self.held.get(session, project)
        micros = max(micros, -books.held(self.tx, name(session)).micros)
        if session in self.over or not micros:
            return
        try:
            books.hold(self.tx, project, name(session), Amount(micros), self.now, centre=centre)
        except Overdrawn:
            self.refused += 1
            return
        self.held[session] = project
        for lot in lot_rows.list_for(self.tx, project, CREDIT):
            assert micros < 0 or lot.available >= -lot.floor or lot.name not in self._parts(session)

    def _parts(self, session: int) -> Any:
        row = lot_rows.hold(self.tx, name(session))
        return row.parts if row else {}

    def charge(self, session: int, centre: str, micros: int, last: bool) -> None:
        if session not in self.held:
            return
        key = "" if last else f"part:{session}:{len(self.charged)}"
        if session in self.over:
            key = key or f"settle:{name(session)}"
        try:
            new = books.charge(
                self.tx, self.held[session], name(session), centre, Amount(micros), self.now, key=key, last=last
            )
        except KeyTaken:
            return
        if new and micros:
            self.charged.append(key or f"settle:{name(session)}")
        if last:
            self.over.add(session)

    def release(self, session: int) -> None:
        if session not in self.held:
            return
        try:
            if books.release(self.tx, self.held[session], name(session), self.now):
                self.over.add(session)
        except KeyTaken:
            assert session in self.over

    def reverse(self, which: int) -> None:
        if self.charged:
            key = self.charged[which % len(self.charged)]
            books.reverse(self.tx, key, self.now, "the centre corrected its record")
            assert not books.reverse(self.tx, key, self.now, "again")

    def later(self, days: int) -> None:
        self.now += timedelta(days=days)

    def expire(self) -> None:
        books.expire(self.tx, self.now)
        assert not books.expire(self.tx, self.now)

    def seal(self) -> None:
        sealing.seal(self.tx)


def name(session: int) -> str:
    return f"s{session}"


@contextmanager
def undone(engine: Any) -> Iterator[Tx]:
    """A transaction of which nothing stays."""
    with engine.connect() as tx, tx.begin() as work:
        yield tx
        work.rollback()
