"""Tests each invariant with a history that violates it, and no other invariant: a check that can't fail is
worthless."""

from __future__ import annotations

from dataclasses import replace

import pytest

from .checker import INVARIANTS, Allowed, check
from .evidence import Answer, Broken, Entry, Evidence, Run, Session, Sighting, Start, session_of

ID = "aaaabbbbcccc"
NAME = f"scnet-{ID}"
SESSION = Session(
    id=ID,
    centre="a",
    node="a1",
    state="charged",
    live=False,
    created=1000,
    ready=1005,
    ended=1100,
    end_reason="Stopped on request.",
)
RUN = Run(centre="a", job_id="7", name=NAME, started=1002, ended=1100, elapsed=98, cores=1, node="a1")
HOLD = Entry(session=ID, kind="hold", held=1_000_000)
# 98 s of a core at 1 credit an hour, rounded up
CHARGE = Entry(session=ID, kind="charge", centre="a", paid=27_223, held=-1_000_000)
GOOD = Evidence(
    ended=2000,
    starts=(Start(at=1000, outcome="accepted", session=ID),),
    stops={ID: 1098},
    sessions=(SESSION,),
    entries=(HOLD, CHARGE),
    runs=(RUN,),
    sightings=(Sighting(at=1050, centre="a", job_id="7", name=NAME, known=True),),
)
LIVE = replace(SESSION, state="ready", live=True, ended=None, end_reason="")
STILL = replace(GOOD, stops={}, sessions=(LIVE,), entries=(HOLD,), runs=(replace(RUN, live=True, ended=None),))


def unknown(*times: float) -> tuple[Sighting, ...]:
    return tuple(Sighting(at=at, centre="b", job_id="9", name=NAME, known=False) for at in times)


def run_at(centre: str, started: float, ended: float) -> Run:
    return Run(
        centre=centre, job_id="9", name=f"{NAME}-2", started=started, ended=ended, elapsed=ended - started, cores=1
    )


BAD = {
    "the broker forgot it": (replace(GOOD, sessions=(), entries=(), stops={}), "nothing lost"),
    "it ended unasked": (replace(GOOD, stops={}), "nothing lost"),
    "it does not answer": (replace(STILL, answers=(Answer(session=ID, ok=False, words="503"),)), "nothing lost"),
    "a ghost runs unlisted": (replace(GOOD, sightings=unknown(1200, 1230, 1260, 1300)), "no orphan unlisted"),
    "two copies run": (replace(GOOD, runs=(RUN, run_at("b", 1010, 1095))), "no double start"),
    "two copies run on one centre": (replace(GOOD, runs=(RUN, run_at("a", 1010, 1095))), "no double start"),
    "charged twice": (replace(GOOD, entries=(HOLD, CHARGE, replace(CHARGE, held=0))), "no double charge"),
    "charged and given back": (
        replace(GOOD, entries=(HOLD, CHARGE, Entry(session=ID, kind="release"))),
        "no double charge",
    ),
    "charged for nothing": (replace(GOOD, runs=()), "no charge without a usage record of its price"),
    "charged at another centre": (
        replace(GOOD, runs=(replace(RUN, centre="b"),)),
        "no charge without a usage record of its price",
    ),
    "charged for waiting": (
        replace(GOOD, runs=(replace(RUN, started=None, elapsed=0),)),
        "no charge without a usage record of its price",
    ),
    "overcharged": (
        replace(GOOD, entries=(HOLD, replace(CHARGE, paid=30_000))),
        "no charge without a usage record of its price",
    ),
    "refused without a word": (
        replace(GOOD, starts=(*GOOD.starts, Start(at=1500, outcome="refused"))),
        "every start ends ready or explained",
    ),
    "gave up without a word": (
        replace(GOOD, starts=(*GOOD.starts, Start(at=1500, outcome="gave-up"))),
        "every start ends ready or explained",
    ),
    "ended without a word": (
        replace(GOOD, sessions=(replace(SESSION, ready=None, end_reason=""),)),
        "every start ends ready or explained",
    ),
    "waits without a word": (
        replace(STILL, sessions=(replace(LIVE, state="intent", ready=None),)),
        "every start ends ready or explained",
    ),
    "never settled": (replace(GOOD, sessions=(replace(SESSION, state="ended"),), entries=(HOLD,)), "books closed"),
    "held for ever": (replace(GOOD, entries=(replace(HOLD, held=1_000_001), CHARGE)), "books closed"),
    "the books don't verify": (replace(GOOD, wrong=("lot 'first': held is 1, its entries come to 0",)), "books verify"),
    "stopped and still there": (replace(STILL, stops={ID: 1098}), "all stops done"),
    "stopped and its job lives on": (replace(GOOD, runs=(replace(RUN, live=True),)), "all stops done"),
}


def test_a_good_history_has_no_violations() -> None:
    assert check(GOOD) == [] and check(STILL) == []


@pytest.mark.parametrize("name", BAD)
def test_a_violation_is_found_and_named(name: str) -> None:
    seen, invariant = BAD[name]
    found = check(seen)
    assert {one.invariant for one in found} == {invariant}
    assert all(one.words for one in found)


def test_every_invariant_can_fail() -> None:
    assert {invariant for _, invariant in BAD.values()} == set(INVARIANTS)


@pytest.mark.parametrize(
    ("death", "excused"),
    [
        (Broken(name="dead", target="a", began=1090, ended=1095), True),
        (Broken(name="node-cut", target="a", at="a1", began=1090, ended=1095), True),
        (Broken(name="node-cut", target="a", at="a2", began=1090, ended=1095), False),  # another node
        (Broken(name="dead", target="b", began=1090, ended=1095), False),  # another centre
        (Broken(name="dead", target="a", began=1150, ended=1160), False),  # later
        (Broken(name="dead", target="a", began=100, ended=110), False),  # before it began
        (Broken(name="net-down", target="a", began=1090, ended=1095), False),  # nothing dies of that
    ],
)
def test_a_session_may_end_with_its_node_and_with_nothing_else(death: Broken, excused: bool) -> None:
    found = check(replace(GOOD, stops={}, broken=(death,)))
    assert [one.invariant for one in found] == ([] if excused else ["nothing lost"])


@pytest.mark.parametrize("name", ["ends by itself", "was followed"])
def test_a_session_whose_end_was_foreseen_is_not_lost(name: str) -> None:
    finite = replace(GOOD, stops={}, finite=frozenset({ID}))
    followed = replace(GOOD, stops={}, sessions=(replace(SESSION, replaced=True),))
    assert check({"ends by itself": finite, "was followed": followed}[name]) == []


@pytest.mark.parametrize(
    ("fault", "violations"),
    [
        (Broken(name="net-down", target="b", began=1005, ended=1060), 0),  # b could not be told
        (Broken(name="broker-kill", target="broker", began=1005, ended=1060), 0),  # nobody could tell
        (Broken(name="net-down", target="c", began=1005, ended=1060), 1),  # none of its centres
        (Broken(name="net-down", target="b", began=900, ended=910), 1),  # long mended
    ],
)
def test_the_time_to_cancel_counts_only_while_it_can_be_done(fault: Broken, violations: int) -> None:
    seen = replace(GOOD, runs=(RUN, run_at("b", 1010, 1095)), broken=(fault,))
    assert len(check(seen)) == violations


def test_an_orphan_that_is_listed_in_time_is_none() -> None:
    listed = Sighting(at=1260, centre="b", job_id="9", name=NAME, known=True)
    assert check(replace(GOOD, sightings=(*unknown(1200, 1230), listed, *unknown(1300, 1330)))) == []


def test_an_orphan_of_a_centre_that_could_not_be_asked_is_none_yet() -> None:
    cut = Broken(name="net-down", target="b", began=1190, ended=1290)
    assert check(replace(GOOD, sightings=unknown(1200, 1300), broken=(cut,))) == []
    assert len(check(replace(GOOD, sightings=unknown(1200, 1300, 1500), broken=(cut,)))) == 1


def test_a_short_overlap_of_two_copies_is_allowed() -> None:
    assert check(replace(GOOD, runs=(RUN, run_at("b", 1010, 1010 + Allowed().cancel)))) == []


def test_a_charge_may_differ_by_what_accounting_rounds() -> None:
    assert check(replace(GOOD, runs=(replace(RUN, elapsed=97),))) == []


@pytest.mark.parametrize(
    ("name", "session"), [(NAME, ID), (f"{NAME}-3", ID), ("scnet-short", ""), ("interactive", ""), (f"x{NAME}", "")]
)
def test_a_jobs_name_tells_its_session(name: str, session: str) -> None:
    assert session_of(name) == session
