"""Tests that the cuts of the journal decide in which month an entry counts, whatever the clocks show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from scnet_hub.domain.ledger.entries import Entry, Posting
from scnet_hub.domain.months import Calendar, following, period_named
from scnet_hub.domain.settlement import cutoffs
from scnet_hub.domain.settlement.cutoffs import Cut, by_cuts
from scnet_hub.units import Amount

from .examples import examples

OCTOBER = period_named("2026-10")
MONTHS = [OCTOBER]
while len(MONTHS) < 5:
    MONTHS.append(following(MONTHS[-1]))
# so many hours later something is written that concerns a time so many hours before, by a clock that is so wrong; or a
# month is closed
STEPS = st.lists(
    st.one_of(st.tuples(st.integers(0, 400), st.integers(0, 2000), st.integers(-200, 200)), st.just("close")),
    min_size=1,
    max_size=40,
)


def told(steps: Sequence[tuple[int, int, int] | str]) -> tuple[list[tuple[int, Entry]], list[Cut]]:
    """A journal, and the cuts of all its months, in their order."""
    now, journal, made = OCTOBER.start + timedelta(days=4), [], list[Cut]()

    def close(at: datetime) -> None:
        month = MONTHS[len(made)]
        made.append(Cut(period=month.name, last=len(journal), at=cutoffs.instant(at, month.end, made)))

    for step in steps:
        if isinstance(step, str):
            if len(made) < len(MONTHS) and now >= MONTHS[len(made)].end:
                close(now)
            continue
        now = min(now + timedelta(hours=step[0]), MONTHS[-1].end - timedelta(hours=1))
        at, wrote = now - timedelta(hours=step[1]), now + timedelta(hours=step[2])
        posted = (Posting("centre:a", Amount(1)), Posting("project:p", Amount(-1)))
        entry = Entry(key=f"e{len(journal)}", at=at, kind="charge", project="p", postings=posted, recorded_at=wrote)
        journal.append((len(journal) + 1, entry))
    while len(made) < len(MONTHS):
        close(MONTHS[-1].end)
    return journal, made


@settings(max_examples=examples(200), deadline=None)
@given(STEPS)
def test_each_entry_is_in_one_month_whose_cut_it_is_before(steps: list[tuple[int, int, int] | str]) -> None:
    """And where it is can be said when that month is cut, and stays when later ones are."""
    journal, made = told(steps)
    counted: Counter[str] = Counter()
    for place, cut in enumerate(made):
        month, known = MONTHS[place], made[: place + 1]
        calendar = Calendar(closed={one.period: one.at for one in known}, first=OCTOBER.name)
        after = cutoffs.over(known, month.start)
        # as `db.periods.journal` reads it
        window = [(number, one) for number, one in journal if number <= cut.last and one.at < month.end]
        window = [(number, one) for number, one in window if one.at >= month.start or number > after]
        its = [one.key for one in by_cuts(window, known) if calendar.landing(one.at, one.recorded_at) == month]
        counted.update(its)
        later = Calendar(closed={one.period: one.at for one in made}, first=OCTOBER.name)
        assert its == [one.key for one in by_cuts(journal, made) if later.landing(one.at, one.recorded_at) == month]
    assert counted == Counter(one.key for _, one in journal)


def test_a_month_is_closed_after_its_end_and_after_those_before_it() -> None:
    first = Cut(period="2026-10", last=3, at=MONTHS[2].start)
    assert cutoffs.instant(OCTOBER.start, OCTOBER.end, []) == OCTOBER.end
    assert cutoffs.instant(OCTOBER.start, OCTOBER.end, [first]) > first.at
    assert cutoffs.instant(MONTHS[3].start, OCTOBER.end, [first]) == MONTHS[3].start
