"""Tests the invariants of members who share a project's credits, whatever they start and in whatever order (market.md's
invariants, by number)."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from scnet_hub.adapters.db.database import Tx
from scnet_hub.adapters.db.queries import projects as project_rows
from scnet_hub.adapters.db.queries import sessions as session_rows
from scnet_hub.domain.standard.federation import ProjectSpec
from scnet_hub.errors import Overdrawn
from scnet_hub.services.accounting import audit, books
from scnet_hub.services.projects import projects
from scnet_hub.units import Amount
from tests.builders.copies import split

from .examples import heavy
from .story import undone

NOW = datetime(2026, 11, 23, tzinfo=UTC)
PEOPLE = ("ada", "ben", "eve")
STARTS = st.tuples(st.sampled_from(PEOPLE), st.integers(1, 25))
ENDS = st.tuples(st.integers(0, 5), st.integers(0, 30))


@settings(max_examples=heavy(100), deadline=None)
@given(
    st.integers(1, 60), st.tuples(*[st.integers(1, 40)] * 3), st.lists(st.one_of(STARTS, ENDS), min_size=3, max_size=8)
)
def test_i14_i15_caps_may_come_to_more_than_the_project_has_but_nobody_passes_their_own_nor_all_together_the_projects(
    engine: Engine, granted: int, caps: tuple[int, ...], story: list[tuple[str | int, int]]
) -> None:
    limits = dict(zip(PEOPLE, caps, strict=True))
    with undone(engine) as tx:
        _project(tx, granted, limits)
        running: list[tuple[str, str, int]] = []
        for number, (who, what) in enumerate(story):
            if isinstance(who, str):
                _start(tx, f"s{number}", who, what, running)
            elif running:
                session, person, held = running.pop(who % len(running))
                books.charge(tx, "sea", session, "alpha", Amount(min(what, held)), NOW)
                session_rows.update(tx, session, charged=min(what, held), live=False)
                assert sum(session_rows.spent_by(tx, "sea", person)) <= limits[person]
            money = books.balance(tx, "sea")
            assert money.settled.micros + money.on_hold.micros <= granted and money.available.micros >= 0
        money = books.balance(tx, "sea")
        assert money.settled.micros + money.on_hold.micros == sum(
            sum(session_rows.spent_by(tx, "sea", one)) for one in PEOPLE
        )
        assert audit.verify(tx).ok


def _project(tx: Tx, granted: int, limits: dict[str, int]) -> None:
    page = ProjectSpec(
        id="sea",
        members=list(PEOPLE),
        caps={person: cap / 1e6 for person, cap in limits.items()},
        grants={"first": granted / 1e6},
    )
    projects.apply(tx, [page], NOW)


def _start(tx: Tx, session: str, person: str, micros: int, running: list[tuple[str, str, int]]) -> None:
    """As a start does: the cap, the hold and the session are one step. I20: who is refused hears what is needed, what
    there is, and what to do; and then nothing has changed."""
    before = books.balance(tx, "sea")
    cap = next(one.cap for one in project_rows.people(tx, "sea") if one.person == person)
    assert cap is not None
    fits = sum(session_rows.spent_by(tx, "sea", person)) + micros <= cap and micros <= before.available.micros
    try:
        projects.check_cap(tx, "sea", person, Amount(micros))
        books.hold(tx, "sea", session, Amount(micros), NOW, centre="alpha")
    except Overdrawn as refused:
        assert not fits and books.balance(tx, "sea") == before
        assert refused.code in ("over-cap", "overdrawn") and refused.hint
        assert refused.details["needed"] == micros / 1e6 and 0 <= refused.details["available"] < micros / 1e6
        assert str(Amount(micros)) in str(refused)
        return
    assert fits
    own, of_copy = split(
        id=session, person=person, project="sea", kind="batch", name=session, state="intent", live=True,
        placement={}, request={}, payload={}, why="", end_reason="", created_at=NOW, held=micros, continues="",
        in_line=False, cause="first", asked_at=NOW, centre="alpha", partition="cpu", account="a", secret="", nonce="",
    )  # fmt: skip
    session_rows.insert(tx, own, of_copy)
    running.append((session, person, micros))
