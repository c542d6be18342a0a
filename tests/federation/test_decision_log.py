"""Tests the decision log over real centres: the request, the inputs of the decision, and the outcome, in words too."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scnet_hub.adapters.db.database import Tx
from scnet_hub.adapters.db.queries import decisions as decision_rows
from scnet_hub.adapters.db.queries.decisions import DecisionRow, Inputs
from scnet_hub.domain.jobs import JobRequest
from scnet_hub.domain.placement import record
from scnet_hub.domain.placement.placement import Calibration, place
from scnet_hub.domain.sessions import names
from scnet_hub.domain.standard.federation import DecisionsSpec
from scnet_hub.errors import BadOption, NotFound, Refused
from scnet_hub.services.placement import accuracy, explanations
from scnet_hub.services.placement.decision_log import MOST_REFUSALS, DecisionLog
from tests.federation.world import PAYLOAD, World
from tests.unit.domain.placement.build import NOW as BUILT
from tests.unit.domain.placement.build import offer

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


async def explained(world: World, wanted: str, person: str = "ada") -> dict[str, Any]:
    return await world.federation.decision_log.explain(wanted, person)


async def log_count(world: World) -> tuple[int, int, int]:
    await world.federation.decision_log.flush()
    return await world.federation.db.run(decision_rows.count)


async def refusal(world: World, **options: Any) -> Refused:
    with pytest.raises(Refused) as error:
        await world.submit(**options)
    return error.value


async def test_a_start_is_explained_from_the_question_to_its_end(world: World) -> None:
    row = await world.submit(kind="lab", cores=2)
    first = await explained(world, row.session.id)
    assert "it has not started" in first["words"][3] or "is not ready yet" in first["words"][3]
    await world.listens(await world.reaches(row.session.id, "starting", "queued", "submitted"))
    ready = await explained(world, row.session.id)
    [one] = ready["decisions"]
    assert (one["centre"], one["number"], one["cause"], one["chance"]) == (row.copy.centre, 1, "first", "now")
    assert one["ready_at"] and one["as_promised"] is True and one["ready_s"] < 60
    asked, considered, why, happened = ready["words"]
    assert "ada asked for a JupyterLab session with 2 cores for 1 h; project p pays" in asked
    assert considered.startswith("2 places were considered; all could take the session.")
    assert why.startswith(
        f"It went to {row.copy.centre.title()}, partition main, where it would start now; 4 cores were free, and 1 h "
        "cost at most "
    )
    assert ". The next best, " in why and ", would start now, but " in why and one["reason"] == row.session.why
    assert re.fullmatch(
        rf"Expected to start now; it started after \d s at {row.copy.centre.title()} and was ready after \d+ s\.",
        happened,
    )
    await world.federation.stopping.cancel(await world.federation.lookup.get(row.session.id))


async def test_a_decision_is_replayed_from_the_log_as_it_was(world: World) -> None:
    row = await world.submit()
    await world.submit(name="other")
    log = world.federation.decision_log

    def again(tx: Tx) -> bool:
        [decided] = decision_rows.of_session(tx, row.session.id)
        request, inputs = log.recorded(tx, decided)
        replayed = record.replay(request, inputs, decided.decided_at)
        return (
            names.request_of(row.session.request) == request
            and replayed.reason == row.session.why
            and replayed.best is not None
        )

    assert await world.federation.db.run(again)
    document = await log.replay(row.session.id, "ada")
    assert (
        document["same"]
        and document["placement"]["ranked"] == row.session.placement["ranked"]
        and document["policy"] == "soonest"
    )
    cheapest = await log.replay(row.session.id, "", "cheapest")
    assert cheapest["policy"] == "cheapest" and "Policy cheapest" in cheapest["words"][0]
    with pytest.raises(BadOption, match="Unknown policy 'dice'"):
        await log.replay(row.session.id, "ada", "dice")


async def test_what_decisions_share_is_written_once(world: World) -> None:
    rows = await asyncio.gather(*(world.submit(name=f"n{number}") for number in range(5)))
    decisions, snapshots, terms = await log_count(world)
    assert (decisions, terms) == (5, 1) and 2 <= snapshots <= 2 * len(rows)
    await world.kill()
    await world.restart()
    await world.submit(name="later")
    world.federation.states.centres["north"].set_pace(100.0)  # its looks take long, each another time
    await world.submit(name="last")
    assert (await log_count(world))[2] == 1


async def test_a_refused_start_is_logged_with_why_and_never_with_its_payload(world: World) -> None:
    error = await refusal(world, cores=64)
    explanation = await explained(world, error.details["decision"])
    assert (
        error.code == "no-placement"
        and explanation["session"] == ""
        and explanation["decisions"][0]["refused"]["why"] == str(error)
    )
    assert explanation["decisions"][0]["kind"] == "batch", "of a refused start: as it was asked for"
    assert (
        "none could take the session" in explanation["words"][1]
        and explanation["words"][2] == "The request was refused."
    )
    assert (
        explanation["words"][3]
        == "Not at North, partition main; South, partition main: needs 64 cores on one node; the largest has 4."
    )
    assert PAYLOAD["env"]["JUPYTERHUB_API_TOKEN"] not in json.dumps(explanation)
    await world.submit(cores=4, walltime=timedelta(hours=20))
    poor = await refusal(world, cores=4, walltime=timedelta(hours=20), name="y")
    said = (await explained(world, poor.details["decision"]))["words"][2]
    assert poor.code == "overdrawn" and "The request was refused: " in said and "20.00 credits available" in said
    assert "It would have gone to " in said


async def test_the_same_refusal_again_is_counted_not_written_again(world: World) -> None:
    first = [await refusal(world, cores=64) for _ in range(3)]
    other = await refusal(world, cores=65)
    assert (
        len({error.details["decision"] for error in first}) == 1
        and other.details["decision"] != first[0].details["decision"]
    )
    explanation = await explained(world, first[0].details["decision"])
    assert (
        explanation["decisions"][0]["refused"]["times"] == 3
        and "refused 3 times within a minute" in explanation["words"][2]
    )
    assert (await log_count(world))[0] == 2


async def test_who_is_refused_for_everything_there_is_fills_no_disk(world: World) -> None:
    errors = [await refusal(world, cores=cores) for cores in range(1000, 1000 + MOST_REFUSALS + 5)]
    assert ["decision" in error.details for error in errors] == [True] * MOST_REFUSALS + [False] * 5
    assert (await log_count(world))[0] == MOST_REFUSALS


async def test_a_further_copy_is_a_decision_of_its_own(world: World) -> None:
    world.faults["north"].words = world.faults["south"].words = ""
    world.faults["north"].words = "sbatch: error: Invalid account"
    row = await world.submit()
    moved = await world.reaches(row.session.id, "starting")
    explanation = await explained(world, row.session.id)
    assert moved.copy.centre == "south" and [one["cause"] for one in explanation["decisions"]] == ["first", "refused"]
    said = "\n".join(explanation["words"])
    assert "That centre refused the job, so it continued at South, partition main" in said
    second = explanation["decisions"][1]["id"]
    assert (await explained(world, second))["decisions"][0]["id"] == second
    assert (await world.federation.decision_log.replay(second, "ada"))["id"] == second


async def test_nobody_elses_decisions_are_there(world: World) -> None:
    row = await world.submit()
    decision = (await explained(world, row.session.id))["decisions"][0]["id"]
    for wanted, person in (
        (row.session.id, "eve"),
        (decision, "eve"),
        ("no-such", "ada"),
        ("no-such", ""),
        ("", "ada"),
    ):
        with pytest.raises(NotFound, match="There is no session and no decision") as error:
            await explained(world, wanted, person)
        assert error.value.code == "unknown-decision"
        with pytest.raises(NotFound):
            await world.federation.decision_log.replay(wanted, person)
    assert (await explained(world, decision, ""))["person"] == "ada"  # an operator


async def test_the_log_is_swept_and_says_what_is_not_kept(world: World) -> None:
    row = await world.submit()
    await world.reaches(row.session.id, "starting")
    fed = world.federation
    days = [15]
    log = DecisionLog(fed.db, fed.states, DecisionsSpec(), lambda: fed.clock() + timedelta(days=days[0]))
    assert await log.sweep() == 2 and (await log_count(world)) == (1, 0, 1)
    assert await explained(world, row.session.id)
    with pytest.raises(NotFound, match="no longer kept") as error:
        await log.replay(row.session.id, "ada")
    assert error.value.code == "not-kept"
    days[0] = 91
    assert await log.sweep() == 1 and (await log_count(world)) == (0, 0, 0)
    with pytest.raises(NotFound, match="no longer in the log"):
        await explained(world, row.session.id)
    with pytest.raises(NotFound, match="There is no session and no decision"):
        await explained(world, row.session.id, "eve")
    assert (await world.federation.lookup.get(row.session.id)).session.live


async def test_a_report_of_nothing_is_one_and_of_a_day_counts(world: World) -> None:
    empty = await world.federation.decision_log.report(1)
    assert (
        empty["all"]["count"] == 0 and empty["all"]["hit_rate"] is None and empty["decisions"] == empty["refused"] == []
    )
    row = await world.submit(kind="lab")
    await world.listens(row)
    await world.passes(1)
    await refusal(world, cores=64)
    report = await world.federation.decision_log.report(1)
    assert (report["all"]["count"], report["all"]["hit_rate"], report["all"]["ready"]) == (1, 1.0, 1)
    assert [(one["centre"], one["count"]) for one in report["by_centre"]] == [(row.copy.centre, 1)]
    assert [one["chance"] for one in report["by_chance"]] == ["now"]
    assert [(one["code"], one["count"]) for one in report["refused"]] == [("no-placement", 1)]
    assert {one["centre"] for one in report["refused_by"]} == {"north", "south"}
    assert [one["session"] for one in report["decisions"]] == ["", row.session.id]
    json.dumps(report)


async def test_a_start_that_is_not_written_is_not_logged_either(world: World) -> None:
    request = JobRequest(person="ada", project="p", kind="batch", name="x")

    def half(tx: Tx) -> None:
        world.federation.submission._begin(tx, "abcdefghijkm", request, dict(PAYLOAD))
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        await world.federation.db.run(half)
    decisions, _, terms = await log_count(world)
    assert decisions == terms == 0
    row = await world.submit()
    decisions, snapshots, terms = await log_count(world)
    assert (decisions, terms) == (1, 1) and snapshots >= 2
    assert (await world.federation.decision_log.replay(row.session.id, "ada"))["same"]


async def test_how_long_sessions_took_to_be_ready_is_known_by_centre_and_app(world: World) -> None:
    row = await world.submit(kind="lab", app="torch")
    await world.listens(row)
    since = world.federation.clock() - timedelta(days=1)
    [sample] = await world.federation.db.run(decision_rows.startups, since)
    assert (sample.centre, sample.app) == (row.copy.centre, "torch") and 0 <= sample.seconds < 60
    assert await world.federation.db.run(decision_rows.startups, world.federation.clock() + timedelta(days=1)) == []


# ---- what held, decided without a centre


def decided(**given: Any) -> DecisionRow:
    usual: dict[str, Any] = dict.fromkeys(DecisionRow.__dataclass_fields__)
    usual |= {
        "id": "d", "decided_at": NOW, "person": "ada", "project": "p", "session": "s", "number": 1, "cause": "first",
        "code": "", "said": "", "times": 1, "centre": "a", "partition": "main", "chance": 0, "expected_s": 1.0,
        "reason": "r", "kind": "lab", "lead": 1, "created_at": NOW, "job_live": True, "job_end_reason": "",
    }  # fmt: skip
    return DecisionRow(**(usual | given))


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("row", "seconds", "held"),
    [
        (decided(started_at=after(60)), 1000, True),
        (decided(started_at=after(61)), 1000, False),
        (decided(started_at=after(61), p90_s=70.0), 1000, True),
        (decided(), 59, None),
        (decided(), 61, False),
        (decided(job_cancelled_at=after(10)), 1000, None),
        (decided(job_cancelled_at=after(100)), 1000, False),
        (decided(job_ended_at=after(10)), 1000, None),
        (decided(chance=3, started_at=after(1)), 1000, None),
        (decided(chance=3, p90_s=600.0, started_at=after(601)), 1000, False),
        (decided(number=0, chance=None, code="no-placement"), 1000, None),
        (decided(started_at=after(-2)), 1000, True),
    ],
)
def test_a_promise_that_nobody_could_see_the_end_of_does_not_count(
    row: DecisionRow, seconds: float, held: bool | None
) -> None:
    assert accuracy.held(row, after(seconds)) is held


def test_what_started_is_what_is_learned_from_in_its_order() -> None:
    rows = [
        decided(chance=3, expected_s=120.0, started_at=after(400), p90_s=300.0, centre="b"),
        decided(started_at=after(2)),
        decided(chance=3, p90_s=2000.0),
        decided(job_cancelled_at=after(30)),
        decided(session=None, number=0, chance=None, code="overdrawn"),
    ]
    learned = accuracy.lessons(rows, after(1000))
    assert [(wait.chance, wait.seconds, *rest) for wait, *rest in learned] == [
        (0, 1.0, "a", 2.0, None),
        (3, 120.0, "b", 400.0, 300.0),
    ]
    calibration = Calibration()
    for lesson in learned:
        calibration.learn(*lesson)


def test_a_start_that_is_still_to_come_is_a_miss_as_soon_as_its_promise_is_over() -> None:
    rows = [
        decided(chance=3, expected_s=120.0, p90_s=300.0),
        decided(p90_s=10.0, job_cancelled_at=after(40)),
        decided(started_at=after(20)),
    ]
    learned = [(wait.chance, *rest) for wait, *rest in accuracy.lessons(rows, after(301))]
    assert learned == [(0, "a", 40.0, 10.0), (0, "a", 20.0, None), (3, "a", 301.0, 300.0)]
    assert len(accuracy.lessons(rows, after(300))) == 2
    report = accuracy.report(rows, [], {}, NOW, after(301))["all"]
    assert (report["promised"], report["kept"]) == (3, 1)


def test_a_promise_is_judged_as_it_was_told() -> None:
    assert accuracy.held(decided(p90_s=0.2, started_at=after(0.9)), after(10)) is True  # "within 1 s"
    assert accuracy.held(decided(p90_s=1.2, started_at=after(2.1)), after(10)) is False


def test_who_still_waits_counts_until_now_and_once() -> None:
    rows = [
        decided(started_at=after(1), ready_at=after(3)),
        decided(),
        decided(number=2, cause="stalled"),
        decided(job_live=False, job_ended_at=after(9)),
    ]
    told = accuracy.report(rows, [], {}, NOW, after(500))["all"]
    assert (told["ready"], told["waiting"], told["ready_median_s"], told["ready_p95_s"]) == (1, 1, 251.5, 500.0)
    assert (told["started"], told["expected_median_s"], told["started_median_s"]) == (1, 1.0, 1.0)


ASKED = {
    "kind": "batch",
    "cores": 2,
    "gpus": 0,
    "gpu_model": "",
    "memory": 0,
    "nodes": 1,
    "walltime_s": 3600.0,
    "centre": "",
    "partition": "",
}


def ranked(centre: str, words: str, reason: str = "", free: int = 4) -> list[Any]:
    return [centre, "main", "later", words, None, None, None, 4.0, free, 2.0, reason]


def told(row: DecisionRow, *places: list[Any], refusals: Any = (), **asked: Any) -> list[str]:
    answer = {"ranked": [*places], "refusals": [*refusals], "more": [0, 0]}
    return explanations.words([(row, Inputs(ASKED | asked, answer, {}, ""))], {"a": "Alpha", "b": "Beta"}, after(1000))


def test_a_batch_job_starts_and_ends_and_a_guess_is_said_to_be_one() -> None:
    row = decided(
        kind="batch", chance=3, expected_s=700.0, started_at=after(14), ready_at=after(14), job_ended_at=after(75),
        cost=1_600_000, job_end_reason="The program ended by itself.",
    )  # fmt: skip
    words = told(row, ranked("a", "behind 2 queued jobs", free=1), ranked("b", "later", "would start later"))
    assert words[2] == (
        "It went to Alpha, partition main, where it would start behind 2 queued jobs; 1 core was free, and 1 h "
        "cost at most 1.60 credits. "
        "The next best, Beta, partition main, would start later."
    )
    assert words[3] == (
        "Expected to start behind 2 queued jobs, roughly in 12 min; it started after 14 s at Alpha. "
        "It ended after 1 min: The program ended by itself."
    )


def test_a_place_that_was_not_asked_for_did_not_come_into_question() -> None:
    others = [["b", "main", "you asked for a"], ["b", "gpu", "you asked for a"]]
    words = told(decided(cost=1), ranked("a", "now"), refusals=others, centre="a")
    assert words[1].startswith("One place was considered; it could take the session. The information about it was")
    assert len(words) == 4 and words[2].endswith("credits.")
    refused = decided(session=None, number=0, chance=None, code="no-placement", said="No.", times=2)
    words = told(refused, refusals=[*others, ["a", "main", "down"]], centre="a")
    assert words[1:] == [
        "One place was considered; it could not take the session.",
        "The request was refused. The same was refused 2 times within a minute.",
        "Not at Alpha, partition main: down.",
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            decided(p50_s=0.2, p90_s=0.4),
            "now (nine in ten such starts took at most 1 s); it has not started at Alpha yet, after 17 min, later",
        ),
        (
            decided(p50_s=2.0, p90_s=9.1, started_at=after(11), ready_at=after(12)),
            "(half of such starts took at most 2 s, nine in ten at most 10 s)",
        ),
        (
            decided(p90_s=9.1, p50_s=2.0, started_at=after(11), ready_at=after(12)),
            "after 11 s at Alpha, later than promised, and was ready after 12 s.",
        ),
        (decided(started_at=after(1)), "it started after 1 s at Alpha and is not ready yet."),
        (
            decided(started_at=after(1), job_ended_at=after(5), job_end_reason="It died.\nlog"),
            "and was never ready. It ended after 5 s: It died.",
        ),
        (
            decided(job_cancelled_at=after(5), job_end_reason="Stopped."),
            "it ended at Alpha after 5 s, before it started: Stopped.",
        ),
    ],
)
def test_what_became_of_a_start_is_a_sentence(row: DecisionRow, said: str) -> None:
    assert said in told(replace(row, cost=1), ranked("a", "now"))[3]


def test_a_large_federation_is_written_down_in_part_and_counted_whole() -> None:
    offers = [offer(f"c{number}", order=number, refused="" if number % 2 else "no account") for number in range(1000)]
    said = explanations.answer(place(JobRequest(person="ada", project="p"), offers, now=BUILT))
    assert (len(said["ranked"]), len(said["refusals"]), said["more"]) == (50, 200, [450, 300])
    assert explanations.considered_words(said, ASKED).startswith(
        "1000 places were considered; 500 could take the session."
    )


def test_the_report_is_by_centre_and_by_chance_with_the_reasons_of_refusals() -> None:
    rows = [
        decided(started_at=after(1), ready_at=after(3)),
        decided(started_at=after(90), ready_at=after(92), lead=2),  # another copy was ready first
        decided(
            number=2,
            cause="stalled",
            centre="b",
            chance=1,
            p90_s=40.0,
            started_at=after(20),
            ready_at=after(25),
            lead=2,
        ),
        decided(session=None, number=0, chance=None, code="over-quota", said="Too much.", times=3),
        decided(session=None, number=0, chance=None, code="no-placement", said="No centre."),
    ]
    old = {"ranked": [], "refusals": [["a", "main", "last heard of 94 s ago"], ["b", "main", "down"]]}
    older = {"ranked": [], "refusals": [["a", "main", "last heard of 7 s ago"], ["b", "main", "you asked for a"]]}
    report = accuracy.report(
        rows, [(2, old, ASKED), (1, older, ASKED | {"centre": "a"})], {"a": "Alpha"}, NOW, after(1000)
    )
    figures = [(one["centre_name"], one["count"], one["kept"], one["ready_median_s"]) for one in report["by_centre"]]
    assert figures == [("Alpha", 2, 1, 3.0), ("b", 1, 1, 25.0)]
    assert [(one["chance"], one["hit_rate"]) for one in report["by_chance"]] == [
        ("now", 0.5),
        ("beside the queue", 1.0),
    ]
    assert [(one["code"], one["count"]) for one in report["refused"]] == [("over-quota", 3), ("no-placement", 1)]
    assert report["refused_by"][0] == {
        "centre": "a",
        "centre_name": "Alpha",
        "reason": "last heard of 94 s ago",
        "count": 3,
    }
    assert {one["reason"] for one in report["refused_by"]} == {"last heard of 94 s ago", "down"} and report["all"][
        "further"
    ] == 1
