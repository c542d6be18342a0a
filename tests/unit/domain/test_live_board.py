"""Tests that the broker decides on a maintained board like `place` on all offers built anew, whatever happened; and
that a class is spread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

import pytest

from scnet_hub.adapters.centre import Centre
from scnet_hub.adapters.db.database import Database, Tx
from scnet_hub.adapters.db.queries import sessions as session_rows
from scnet_hub.domain.centres.state import CentreStates
from scnet_hub.domain.jobs import JobRequest, LoadSnapshot
from scnet_hub.domain.placement import record
from scnet_hub.domain.placement.placement import Offer, Placement, place, soonest
from scnet_hub.domain.sessions import records
from scnet_hub.domain.sessions.records import SessionCopy
from scnet_hub.domain.standard.centre import Maintenance, parse_centre
from scnet_hub.domain.standard.federation import parse_federation
from scnet_hub.services.federation import Federation
from scnet_hub.services.projects import account_links, projects
from tests.federation.world import PAYLOAD
from tests.unit.domain.placement.build import load, node
from tests.unit.domain.placement.test_board import some_load

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
CLASS = [f"s{number}" for number in range(40)]
PAGE = f"""
centres = ["a"]
[placement]
price = 0.5
[[project]]
id = "sea"
members = {CLASS}
grants = {{ first = 10000 }}
quota = {{ sessions = 1000, cores = 1000 }}
[[project]]
id = "kept"
members = ["s0"]
grants = {{ first = 10000 }}
centres = ["b", "c"]
"""
CENTRE = """
id = "{name}"
name = "{name}"
transport = {{ kind = "local" }}
session = {{ python = "/usr/bin/python3", directory = "/s" }}
[identity]
mode = "{mode}"
[[partition]]
name = "cpu"
cores = 8
nodes = 2
tariff = {{ core_hour = {price} }}
[[partition]]
name = "gpu"
cores = 8
nodes = 2
gpus = 1
"""


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def fed(tmp_path: Path) -> Iterator[Federation]:
    centres = {}
    for name in "abcd":
        text = CENTRE.format(name=name, mode="service" if name == "d" else "shared", price="abcd".index(name) / 4)
        centres[name] = Centre.of(parse_centre(text, source=name))
    db = Database(f"sqlite:///{tmp_path / 'b.sqlite'}")
    db.open()
    made = Federation(parse_federation(PAGE, source="p"), centres, db, call_home_url="", clock=Clock())
    with db.engine.begin() as tx:
        projects.apply(tx, made.spec.project, NOW)
    yield made
    db.close()


def anew(fed: Federation, tx: Tx, request: JobRequest, now: datetime) -> Placement:
    """The decision on all offers as they are, from all live copies."""
    rows = session_rows.live_copies(tx)
    there = {name: [new_copy(row) for row in rows if row.copy.centre == name] for name in fed.centres}
    refused = {
        **fed.states.refusals(now),
        **account_links.refusals(tx, [centre.spec for centre in fed.centres.values()], request.person),
    }
    startups = fed.placing.forecasts.startups_of(request)

    def for_them(one: Offer) -> Offer:
        return replace(one, refused=refused.get(one.centre, ""), startup=startups.get(one.centre, 0.0))

    offers = [for_them(one) for name, known in fed.states.centres.items() for one in known.offers(there[name])]
    weighed = partial(soonest, weights=fed.placing.weights)
    return place(request, offers, now=now, policy=weighed, forecast=fed.placing.forecasts.forecast)


def new_copy(row: SessionCopy) -> records.NewCopy:
    return records.NewCopy(row.copy.centre, row.copy.partition, row.copy.submitted_at, row.session.request)


def something_happens(fed: Federation, tx: Tx, random: Random, now: datetime) -> None:
    known = random.choice(list(fed.states.centres.values()))
    rows = session_rows.live_copies(tx)
    row = random.choice(rows) if rows else None
    match random.randrange(9):
        case 0 | 1 | 2:
            taken_at = now - timedelta(seconds=random.choice((0, 1, 20)))
            known.update(
                LoadSnapshot(taken_at=taken_at, partitions={name: some_load(random) for name in ("cpu", "gpu")})
            )
        case 3:
            known.mark_failing("it did not answer", now)
        case 4:
            known.breaker.failed(random.choice(CLASS), "exit code 1", now)
        case 5 if random.random() < 0.5:
            known.breaker.succeeded()
        case 5:
            window = Maintenance(start=now + timedelta(minutes=random.randint(-5, 90)), end=now + timedelta(hours=2))
            fed.announce(known.spec.model_copy(update={"maintenance": [window]}))
        case 6:
            known.set_pace(random.choice((1.0, 100.0)))
        case 7 if row:
            session_rows.update_copy(
                tx, row.session.id, row.copy.number, submitted_at=now - timedelta(seconds=random.choice((0, 0, 5)))
            )
        case 8 if row:
            session_rows.update_copy(tx, row.session.id, row.copy.number, live=False)


@pytest.mark.parametrize("seed", range(6))
def test_a_busy_federation_is_decided_on_as_if_all_were_looked_at_anew(fed: Federation, seed: int) -> None:
    random, clock, starts = Random(seed), fed.clock, 0
    assert isinstance(clock, Clock)
    fed.placing.forecasts.startups = {"torch": {"a": 40.0, "c": 3.0}}
    for step in range(80):
        clock.now += timedelta(seconds=random.choice((0, 0.5, 3, 20, 70)))
        with fed.db.engine.begin() as tx:
            for _ in range(random.randint(0, 3)):
                something_happens(fed, tx, random, clock.now)
            asked = JobRequest(
                person=random.choice(CLASS), project="", kind=random.choice(("lab", "batch")), name=f"n{step}",
                cores=random.choice((1, 4)), app=random.choice(("", "torch")), centre=random.choice(("", "", "", "b")),
                walltime=timedelta(minutes=random.choice((30, 90))),
            )  # fmt: skip
            decided, _ = fed.placing.decide(tx, asked, whole=True)
            expected = anew(fed, tx, decided.request, clock.now)
            assert decided == expected
            assert decided.inputs and record.replay(decided.request, decided.inputs, clock.now) == expected
            if expected.best and random.random() < 0.7:
                starts += 1
                fed.copies.insert(tx, f"id{step}", decided, PAYLOAD)
    assert starts > 5


def test_a_project_that_is_kept_to_some_centres_shares_the_board(fed: Federation) -> None:
    for known in fed.states.centres.values():
        known.update(LoadSnapshot(taken_at=NOW, partitions={"cpu": load(), "gpu": load()}))
    with fed.db.engine.begin() as tx:
        for project, best in (("sea", "a"), ("kept", "b"), ("sea", "a")):
            decided, _ = fed.placing.decide(tx, JobRequest(person="s0", project=project))
            assert decided.best and decided.best.offer.centre == best


def test_a_class_that_presses_start_at_once_is_spread(fed: Federation) -> None:
    """Each sees those before it, although no centre has told of them yet."""
    nodes = tuple(node(f"n{number}") for number in range(2))
    for known in fed.states.centres.values():
        known.update(
            LoadSnapshot(
                taken_at=NOW - timedelta(seconds=1), partitions={name: load(*nodes) for name in ("cpu", "gpu")}
            )
        )
    went: Counter[tuple[str, str]] = Counter()
    for person in CLASS:
        with fed.db.engine.begin() as tx:
            request = JobRequest(person=person, project="sea", cores=2)
            expected = anew(fed, tx, replace(request, near=""), NOW).best
            row = fed.submission._begin(tx, f"id-{person}", request, PAYLOAD)
            assert isinstance(row, SessionCopy) and expected
            assert (row.copy.centre, row.copy.partition) == (expected.offer.centre, expected.offer.partition)
            went[row.copy.centre, row.copy.partition] += 1
    assert all(went[centre, "cpu"] >= 8 for centre in "abc") and sum(went.values()) == 40
    with fed.db.engine.begin() as tx:
        assert len(session_rows.newest_copies(tx, NOW)) == 40


def test_a_start_that_comes_to_nothing_leaves_the_board_as_it_was(fed: Federation) -> None:
    fed.states.centres["a"].update(LoadSnapshot(taken_at=NOW, partitions={"cpu": load(), "gpu": load()}))
    wanted = JobRequest(person="s0", project="sea", cores=8)
    with fed.db.engine.begin() as tx:
        before, _ = fed.placing.decide(tx, wanted)
    with pytest.raises(RuntimeError), fed.db.engine.begin() as tx:
        fed.copies.insert(tx, "id", before, PAYLOAD)
        during, _ = fed.placing.decide(tx, wanted)
        assert during.best and before.best and during.best.cores_free < before.best.cores_free
        raise RuntimeError
    with fed.db.engine.begin() as tx:
        assert fed.placing.decide(tx, wanted)[0] == before


def test_a_word_that_is_not_known_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    known = CentreStates.of([parse_centre(CENTRE.format(name="a", mode="shared", price=1), source="a")]).centres["a"]
    for words in (("node state 'odd'",), ("node state 'odd'", "job state 'ODD'"), ()):
        known.update(LoadSnapshot(taken_at=NOW, strange=words))
    assert [one.getMessage().split(" is unknown")[0] for one in caplog.records] == [
        "a: node state 'odd'",
        "a: job state 'ODD'",
    ]
