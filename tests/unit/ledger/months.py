"""A month's entries for the tests of settlement: charges by shares, paid from lots, at any instant, written at any
later one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import strategies as st

from scnet_hub.domain.ledger import entries, splits
from scnet_hub.domain.ledger.entries import Entry, Posting
from scnet_hub.domain.ledger.lots import Settled
from scnet_hub.domain.ledger.splits import Shares
from scnet_hub.domain.months import Calendar, period_named
from scnet_hub.domain.settlement.settlement import Payer, Terms
from scnet_hub.domain.settlement.statements import MONEY
from scnet_hub.units import CREDIT, Amount

OCTOBER, NOVEMBER, DECEMBER = (period_named(f"2026-{number}") for number in (10, 11, 12))
CLOSED_AT = NOVEMBER.start + timedelta(days=5)  # of October
CENTRES = ("alpha", "beta", "gamma")
LOTS = {
    ("p1", "first"): Payer("ministry", 1_000_000),
    ("p1", "second"): Payer("city", 333_333),
    ("p2", "first"): Payer("city", 0),
    ("p2", "own"): Payer("alpha", 700_001),  # a centre that grants, too
}
TERMS = Terms(
    calendar=Calendar(closed={"2026-10": CLOSED_AT}),
    payers={entries.project_account(project, lot): payer for (project, lot), payer in LOTS.items()},
)


def charge(
    session: str,
    paid: Mapping[str, int],
    *,
    project: str = "p1",
    centre: str = "alpha",
    shares: Shares | None = None,
    at: datetime = NOVEMBER.start + timedelta(days=9),
    recorded_at: datetime | None = None,
    unit: str = CREDIT,
    key: str = "",
) -> Entry:
    """`paid`: micro-units of each lot; together with subsidy and SLA credit the charge."""
    shares = shares or Shares()
    own = splits.WHOLE - shares.subsidy - shares.sla
    whole = Amount(sum(paid.values()) * splits.WHOLE // own, unit)
    parts = splits.split(whole, shares)
    earned = [*splits.postings(parts, centre=centre, publisher="maker", grantor="ministry")]
    if odd := sum(one.amount.micros for one in earned) - sum(paid.values()):  # the division above left a rest
        earned.append(Posting(entries.centre_account(centre), Amount(-odd, unit)))
    settled = Settled(held=paid, more={}, back={})
    entry = entries.charge(project, session, settled, earned, unit, at)
    return replace(entry, key=key or entry.key, recorded_at=recorded_at or at)


def reverse(of: Entry, *, at: datetime | None = None, recorded_at: datetime | None = None) -> Entry:
    turned = entries.reverse(of, at or of.at, "a corrected record")
    return replace(turned, recorded_at=recorded_at or turned.at)


def noise(number: int, at: datetime) -> list[Entry]:
    """What nobody earns by: a grant, a hold and its release."""
    amount = Amount(1 + number)
    there, held, grants = (
        entries.project_account("p1", "first"),
        entries.held_account("p1", "first"),
        entries.grants_account("ministry"),
    )
    moves = {"grant": (grants, there), "hold": (there, held), "release": (held, there)}
    return [
        Entry(
            key=f"{kind}:{number}", at=at, kind=kind, project="p1", recorded_at=at,
            postings=(Posting(source, -amount), Posting(target, amount)),
        )
        for kind, (source, target) in moves.items()
    ]  # fmt: skip


CHOICES = [(project, frozenset(some)) for project, some in (
    ("p1", {"first"}), ("p1", {"second"}), ("p1", {"first", "second"}), ("p2", {"first"}), ("p2", {"own"}),
    ("p2", {"first", "own"}),
)]  # fmt: skip
SHARES = [
    Shares(),
    Shares(fee=50_000),
    Shares(publisher=100_000, fee=33_333),
    Shares(sla=1),
    Shares(subsidy=499_999, fee=1),
    Shares(publisher=333_333, fee=1, subsidy=100_001, sla=899_998),
]
HOURS = (NOVEMBER.end - OCTOBER.start) // timedelta(hours=1)
PLANS = st.lists(
    st.tuples(
        st.sampled_from(CHOICES),
        st.sampled_from(SHARES),
        st.integers(1, 10**12),
        st.integers(0, HOURS - 1),
        st.integers(0, 30),  # days until it is written
        st.integers(-20, 30),  # days until it is taken back; negative: never
    ),
    max_size=5,
)


def stories(unit: str = CREDIT) -> st.SearchStrategy[list[Entry]]:
    """Charges of October and November, some taken back, some written after October was closed, among what nobody earns
    by. All are written before the year is over."""
    return PLANS.map(lambda plans: [entry for number, plan in enumerate(plans) for entry in _told(unit, number, *plan)])


def _told(
    unit: str, number: int, of: tuple[str, frozenset[str]], shares: Shares, micros: int, hour: int, late: int, back: int
) -> list[Entry]:
    project, lots = of
    at = OCTOBER.start + timedelta(hours=hour)
    recorded_at = at + timedelta(days=late)
    paid = {lot: micros // place + 1 for place, lot in enumerate(sorted(lots), 1)}
    centre = CENTRES[micros % len(CENTRES)]
    one = charge(
        f"s{number}", paid, project=project, centre=centre, shares=shares, at=at, recorded_at=recorded_at, unit=unit
    )
    taken_back = [reverse(one, recorded_at=recorded_at + timedelta(days=back))] if back >= 0 else []
    return [one, *taken_back, *noise(number, at)]


BOOKS = st.sampled_from([CREDIT, MONEY]).flatmap(lambda unit: st.tuples(st.just(unit), stories(unit)))
