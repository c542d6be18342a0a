"""Tests quotas: what a person, a member of a class, a project and a centre may have at once; checked with the hold, in
one transaction."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scnet_hub.adapters.centre import Centre
from scnet_hub.adapters.db.database import Database, Tx
from scnet_hub.adapters.db.queries import projects as project_rows
from scnet_hub.adapters.db.queries import sessions as session_rows
from scnet_hub.domain.jobs import JobRequest, LoadSnapshot
from scnet_hub.domain.sessions.names import request_document
from scnet_hub.domain.sessions.quotas import NOUNS, Ceiling, Use, over, refused, under
from scnet_hub.domain.sessions.records import SessionCopy
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.domain.standard.federation import parse_federation
from scnet_hub.errors import OverQuota, Refused
from scnet_hub.services.accounting import books
from scnet_hub.services.federation import Federation
from scnet_hub.services.placement import quota_check
from scnet_hub.services.projects import projects
from scnet_hub.units import credits
from tests.builders.copies import split
from tests.federation.world import PAYLOAD
from tests.unit.domain.placement.build import load, node
from tests.unit.ledger.examples import examples

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
PAGE = """
centres = ["north", "south"]
[quota]
person = { sessions = 5, cores = 12 }
[[project]]
id = "course"
kind = "class"
members = ["ada", "ben"]
grants = { first = 1000 }
quota = { sessions = 4, cores = 10 }
each = { sessions = 2, cores = 6 }
[[project]]
id = "own"
members = ["ada", "eve"]
grants = { first = 1000 }
quota = { sessions = 50, cores = 100, gpus = 2 }
"""
CENTRE = """
id = "{0}"
name = "{1}"
transport = {{ kind = "local" }}
session = {{ python = "/usr/bin/python3", directory = "/s" }}
quota = {2}
[[partition]]
name = "cpu"
cores = 64
nodes = 2
gpus = 1
tariff = {{ gpu_hour = 1 }}
"""
LIMITED = "{ cores = 8, each = { sessions = 2 } }"


class Hub:
    """A federation whose centres have room and are never asked; north, which is emptier and so the better place, has
    ceilings."""

    def __init__(self, db: Database, page: str = PAGE, north: str = LIMITED) -> None:
        pages = [CENTRE.format("north", "North", north), CENTRE.format("south", "South", "{}")]
        centres = {page.id: Centre.of(page) for page in (parse_centre(text, source="x") for text in pages)}
        self.db, self.fed = (
            db,
            Federation(parse_federation(page, source="x"), centres, db, call_home_url="", clock=lambda: NOW),
        )
        db.run_here(projects.apply, self.fed.spec.project, NOW)
        for name, known in self.fed.states.centres.items():
            used = 32 if name == "south" else 0
            nodes = [node(name, cores=64, cores_used=used, gpus=1) for name in ("n1", "n2")]
            known.update(LoadSnapshot(taken_at=NOW, partitions={"cpu": load(*nodes)}))
        self._count = 0

    def start(self, person: str = "ada", project: str = "course", **asked: Any) -> SessionCopy:
        """A batch job as asked for. Raises what refuses it."""
        self._count += 1
        wanted = {"walltime": timedelta(hours=1), "kind": "batch", "name": f"n{self._count}", **asked}
        row = self.db.run_here(
            self.fed.submission._begin, f"s{self._count}", JobRequest(person=person, project=project, **wanted), PAYLOAD
        )
        if isinstance(row, Refused):
            raise row
        return row

    def refusal(self, person: str = "ada", project: str = "course", **asked: Any) -> OverQuota:
        with pytest.raises(OverQuota) as said:
            self.start(person, project, **asked)
        return said.value


@pytest.fixture
def hub(database: Database) -> Hub:
    return Hub(database, north="{}")


def test_each_member_of_a_class_has_a_ceiling_below_the_classes_own(hub: Hub) -> None:
    hub.start(cores=4)
    error = hub.refusal(cores=3)
    assert str(error) == "Each member of project course may use 6 cores at once; ada uses 4 and this asks for 3."
    assert error.hint == "At most 2 more cores would pass now." and error.code == "over-quota"
    hub.start("ben", cores=5)
    error = hub.refusal("ben", cores=1, gpus=1)
    assert [(one["whose"], one["what"]) for one in error.details["over"]] == [("Project course", "gpus")]
    assert str(error) == "Project course may use no GPUs; this asks for 1." and "without GPUs" in error.hint


def test_what_would_pass_is_what_fits_under_all_ceilings(hub: Hub) -> None:
    hub.start("ben", cores=6)
    hub.start(cores=3)
    error = hub.refusal(cores=5)  # the class has 1 core left, ada 3
    assert [(one["whose"], one["would_pass"]) for one in error.details["over"]] == [
        ("Project course", 1),
        ("Each member of project course", 1),
    ]
    assert error.hint == "At most 1 more core would pass now."
    hub.start(cores=1)
    assert "no cores are left" in hub.refusal("ben", cores=1).hint


def test_a_persons_ceiling_counts_all_projects(hub: Hub) -> None:
    hub.start(cores=4)
    hub.start(project="own", cores=8)
    assert str(hub.refusal(project="own")) == "Each person may use 12 cores at once; ada uses 12 and this asks for 1."
    hub.start("eve", "own", cores=8)  # others' use is not hers


def test_what_ended_does_not_count(hub: Hub) -> None:
    row = hub.start(cores=6)
    hub.refusal(cores=1)
    hub.db.run_here(lambda tx: session_rows.update(tx, row.session.id, live=False))
    hub.start(cores=6)


def test_a_centres_ceiling_sends_the_session_elsewhere_and_says_why(database: Database) -> None:
    hub = Hub(database)
    assert hub.start("eve", "own", cores=6).copy.centre == "north"
    row = hub.start(cores=3)
    assert row.copy.centre == "south"
    [why] = [one["reason"] for one in row.session.placement["refusals"]]
    assert why == "The federation may use 8 cores at once there; it uses 6 and this asks for 3"
    assert hub.start(cores=2).copy.centre == "north"
    with pytest.raises(Refused, match="it uses 8 and this asks for 1") as said:
        hub.start("eve", "own", centre="north")
    assert said.value.code == "no-placement"


def test_each_person_has_a_ceiling_of_a_centres_own(database: Database) -> None:
    hub = Hub(database)
    assert [hub.start("eve", "own").copy.centre for _ in range(3)] == ["north", "north", "south"]
    assert hub.start("ada").copy.centre == "north"


def test_a_copy_counts_at_its_centre_and_its_session_once_for_its_person(database: Database) -> None:
    hub = Hub(database)
    row = hub.start("eve", "own", cores=8, centre="south")

    def copied(tx: Tx) -> None:
        session = session_rows.get(tx, row.session.id)
        decision = hub.fed.placing.decide(tx, JobRequest(person="eve", project="own", cores=8))[0]
        assert session and decision.best and decision.best.offer.centre == "north"
        hub.fed.copies.add(tx, session.session, 2, decision, decision.best, "stalled")

    database.run_here(copied)
    assert hub.start().copy.centre == "south"  # of north's eight cores all are used
    assert hub.start("eve", "own", cores=4).copy.centre == "south"
    assert "eve uses 12" in str(hub.refusal("eve", "own"))


def test_what_a_session_takes_the_place_of_does_not_count(database: Database) -> None:
    hub = Hub(database)
    row = hub.start(cores=6, centre="north")
    asked = JobRequest(person="ada", project="course", cores=6, centre="north", walltime=timedelta(hours=1))

    def instead(tx: Tx) -> Refused | None:
        return hub.fed.submission.refusal(
            tx, hub.fed.placing.decide(tx, asked, instead_of=row.session.id)[0], instead_of=row.session.id
        )

    assert database.run_here(instead) is None
    # it is over for its person, and still at the centre
    database.run_here(lambda tx: session_rows.update(tx, row.session.id, live=False))
    with pytest.raises(Refused, match="it uses 6"):
        hub.start(cores=6, centre="north")


async def test_who_asks_is_told_the_ceilings_and_what_is_in_use(database: Database) -> None:
    hub = Hub(database)
    hub.start(cores=3)
    hub.start("ben", cores=2)
    [course, own], _ = await hub.fed.reports.balances("ada")
    assert course["quota"]["cores"] == {"used": 5, "limit": 10} and own["quota"]["gpus"] == {"used": 0, "limit": 2}
    told = [(one["whose"], one["what"], one["used"], one["limit"]) for one in course["my_quota"]]
    assert told[:2] == [("Each person", "sessions", 1, 5), ("Each person", "cores", 3, 12)]
    assert told[2:] == [
        ("Each member of project course", "sessions", 1, 2),
        ("Each member of project course", "cores", 3, 6),
    ]
    centres = {one["id"]: one["quota"] for one in await hub.fed.reports.centres("ada")}
    assert [(one["what"], one["used"]) for one in centres["north"]] == [("cores", 5), ("sessions", 1)] and centres[
        "south"
    ] == []


def test_of_two_starts_at_once_that_only_one_fits_one_passes(database: Database) -> None:
    spec = parse_federation(PAGE, source="x")
    database.run_here(projects.apply, spec.project, NOW)
    asked, ready = JobRequest(person="ada", project="course", cores=4), Barrier(2)

    def start(name: str) -> Callable[[Tx], None]:
        waited: list[int] = []

        def work(tx: Tx) -> None:
            (project, _) = project_rows.list_for(tx, "ada")
            if not waited and tx.dialect.name == "postgresql":  # SQLite lets one in at a time anyway
                waited.append(ready.wait(5))
            quota_check.check(tx, spec, project, asked)
            books.hold(tx, "course", name, credits(1), NOW, centre="north")
            own, of_copy = split(
                id=name, person="ada", project="course", kind="batch", name=name, state="intent", live=True,
                placement={}, request=request_document(asked), payload={}, why="", end_reason="", created_at=NOW,
                held=1_000_000, continues="", in_line=False, cause="first", asked_at=NOW, centre="north",
                partition="cpu", account="a", secret="", nonce="",
            )  # fmt: skip
            session_rows.insert(tx, own, of_copy)

        return work

    def one(work: Callable[[Tx], None]) -> bool:
        try:
            database.run_here(work)
        except OverQuota:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(one, (start("a"), start("b")))) == [False, True]
    assert database.run_here(lambda tx: session_rows.use(tx, project="course")) == (1, 4, 0)
    assert database.run_here(books.balance, "course").on_hold == credits(1)


sizes = st.builds(Use, sessions=st.integers(0, 9), cores=st.integers(0, 9), gpus=st.integers(0, 9))
limits = st.dictionaries(st.sampled_from([*NOUNS]), st.integers(0, 9))


@settings(max_examples=examples(200))
@given(tables=st.lists(st.tuples(limits, sizes), max_size=4), asked=sizes)
def test_nothing_passes_a_ceiling_and_what_would_pass_does(
    tables: list[tuple[dict[str, int], Use]], asked: Use
) -> None:
    ceilings: list[Ceiling] = [
        one for number, (limit, used) in enumerate(tables) for one in under(f"W{number}", "it uses", limit, used)
    ]
    fits = all(not getattr(asked, one.what) or one.used + getattr(asked, one.what) <= one.limit for one in ceilings)
    error = refused(ceilings, asked)
    assert (error is None) == fits == (not over(ceilings, asked))
    if error:
        smaller = replace(asked, **{one["what"]: one["would_pass"] for one in error.details["over"]})
        assert refused(ceilings, smaller) is None
        for one in error.details["over"]:
            assert refused(ceilings, replace(smaller, **{one["what"]: one["would_pass"] + 1}))
