"""Tests a centre's accounting queried in bulk: the day is pulled once, new records are stored, and its manifest says
which records are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from scnet_hub.adapters.db.database import Database, Tx
from scnet_hub.adapters.db.queries import manifests as manifest_rows
from scnet_hub.adapters.db.queries import usage as usage_rows
from scnet_hub.adapters.db.queries.manifests import ManifestRow
from scnet_hub.domain.jobs import Ending, JobState, UsageRecord
from scnet_hub.domain.sessions.records import SessionCopy
from scnet_hub.domain.usage import cloud_events, serialisation
from scnet_hub.domain.usage.manifests import Manifest
from scnet_hub.services.accounting import accounting_pull, intake
from scnet_hub.units import credits
from tests.builders.postgres import undone
from tests.federation.broker.door import by
from tests.federation.world import World
from tests.unit.ledger.runs import AT, DAY, HOUR, MINUTE
from tests.unit.metering.ended import SESSION, Ended, pages

TODAY = date(2026, 11, 23)  # of AT, in Shanghai
OVER = datetime(2026, 11, 23, 17, tzinfo=UTC)


def told(**changes: Any) -> UsageRecord:
    facts: dict[str, Any] = {
        "job_id": "77", "name": f"scnet-{SESSION}", "state": JobState.COMPLETED, "ending": Ending.COMPLETED, "cores": 4,
        "partition": "batch", "submitted_at": AT - MINUTE, "started_at": AT, "ended_at": AT + HOUR, "elapsed": HOUR,
    }  # fmt: skip
    return UsageRecord(**(facts | changes))


def pull(ended: Ended, *rows: UsageRecord) -> ManifestRow:
    for some in accounting_pull.slices(rows):
        intake.settle(ended.tx, "alpha", (), some, ended.pages, OVER)
    row = accounting_pull.compared(ended.tx, "alpha", TODAY, rows, OVER, "Asia/Shanghai")
    manifest_rows.upsert(ended.tx, row)
    return row


def test_a_pulled_day_charges_what_was_not_known_and_its_manifest_reads_back(database: Database) -> None:
    with undone(database) as tx:
        ended = Ended(tx, pages()).begin()
        row = pull(ended, told(), told(job_id="90", name="scnet-npqrstuvwxyz"))
        assert ended.charged == credits("4.8").micros and row.missing == ()
        assert [one.reason for one in usage_rows.suspended(tx)] == [
            "Job 90 of alpha is called 'scnet-npqrstuvwxyz': no session of that name is known."
        ]
        there = manifest_rows.list_for(tx, "alpha", TODAY, TODAY)
        said = accounting_pull.manifest_from(there[0].document)
        assert (there, said.finals, said.sums["core-second"], len(said.ids)) == ([row], 2, 2 * 4 * 3600, 2)
        assert accounting_pull.manifest_document(said) == row.document and isinstance(said, Manifest)
        ended.books()


def test_a_day_is_due_until_it_was_pulled_after_its_end(database: Database) -> None:
    with undone(database) as tx:
        ended = Ended(tx, pages()).begin()
        days = accounting_pull.due(tx, "alpha", OVER, "Asia/Shanghai")
        assert days[-1] == TODAY and len(days) == accounting_pull.MOST_DAYS + 1
        # its accounting may not be written yet
        assert accounting_pull.due(tx, "alpha", OVER - 45 * MINUTE, "Asia/Shanghai")[-1] == TODAY - DAY
        pull(ended)
        assert TODAY not in accounting_pull.due(tx, "alpha", OVER, "Asia/Shanghai")


def test_a_manifest_may_be_issued_again_and_keeps_its_excuse(database: Database) -> None:
    with undone(database) as tx:
        ended = Ended(tx, pages()).begin()
        broken = told(trouble="half a row", state=JobState.UNKNOWN, ending=None)
        assert pull(ended, broken).missing == ("2026-11-23: 1 rows of its accounting cannot be read",)
        assert manifest_rows.excuse(tx, "alpha", TODAY, TODAY, "its disk was full", "olga") == 1
        assert pull(ended, told()).missing == ()
        assert manifest_rows.list_for(tx)[0].excuse == "its disk was full" and manifest_rows.newest(tx) == {
            "alpha": TODAY
        }
        assert ended.charged == credits("4.8").micros


def test_a_day_lacks_nothing_of_which_its_accounting_tells_one_thing_and_another_in_turn(database: Database) -> None:
    with undone(database) as tx:
        ended = Ended(tx, pages()).begin()
        for turn in range(12):
            assert pull(ended, told(cores=4 + turn % 2)).missing == ()
        assert ended.charged == credits("4.8").micros and [one.state for one in ended.rows][-2:] == [
            "counted",
            "suspense",
        ]


# ---- at a centre


async def used_something(world: World) -> SessionCopy:
    """A session that has run for a second by its centre's accounting, and runs."""
    row = await world.submit(centre="north")
    row = await world.reaches(row.session.id, "starting", "ready")
    asked = ("sacct", "-X", "-n", "-P", f"--jobs={row.copy.job_id}", "-o", "elapsedraw")
    await world.until(lambda: int(world.centres["north"].ask(*asked) or 0) > 0)
    return row


def test_a_long_day_is_taken_in_by_slices_that_keep_the_rows_of_a_job_together() -> None:
    rows = [told(job_id=str(number % 900), restart=number // 900) for number in range(1000)]
    some = list(accounting_pull.slices(rows))
    assert sorted(map(repr, rows)) == sorted(repr(row) for each in some for row in each) and len(some) > 3
    assert all(len(each) <= accounting_pull.AT_ONCE + 1 for each in some)
    where = [{row.job_id for row in each} for each in some]
    assert sum(map(len, where)) == len(set().union(*where))


async def test_operators_see_and_decide_suspense_and_pull_a_day_again(world: World, door: httpx.AsyncClient) -> None:
    fed = world.federation
    row = await world.submit(centre="north")
    await world.reaches(row.session.id, "starting", "ready")
    await fed.stopping.cancel(await fed.lookup.get(row.session.id))
    charged = await world.reaches(row.session.id, "charged")
    job = world.centres["north"].ask("sbatch", "--parsable", "--job-name=scnet-npqrstuvwxyz", "--wrap=true")
    await world.until(
        lambda: "COMPLETED" in world.centres["north"].ask("sacct", "-X", "-n", f"--jobs={job.strip()}", "-o", "state")
    )
    day = fed.clock().astimezone(ZoneInfo(fed.spec.time_zone)).date().isoformat()
    assert (
        await door.post("centres/north/usage-records/pull", json={"day": day}, headers=by("ada"))
    ).status_code == 403
    found = (await door.post("centres/north/usage-records/pull", json={"day": day}, headers=by("olga"))).json()[
        "manifests"
    ][0]
    assert found["finals"] == 2 and found["missing"] == [f"{day}: its manifest was issued before the day was over"]
    again = (await door.post("centres/north/usage-records/pull", json={"day": day}, headers=by("olga"))).json()[
        "manifests"
    ][0]
    assert (again["finals"], again["digest"]) == (2, found["digest"])
    waits = (await door.get("usage-records/suspense", headers=by("olga"))).json()["records"]
    assert [(one["job"], one["state"]) for one in waits] == [
        (job.strip(), "suspense")
    ] and "no session of that name" in waits[0]["reason"]
    place = f"usage-records/suspense/{waits[0]['id']}"
    believed = await door.post(place, json={"decision": "believe", "words": "x"}, headers=by("olga"))
    assert (believed.status_code, believed.json()["code"]) == (422, "no-usage")
    dropped = (await door.post(place, json={"decision": "drop", "words": "somebody tried"}, headers=by("olga"))).json()
    assert (dropped["state"], dropped["decision"], dropped["decided_by"]) == ("dropped", "drop: somebody tried", "olga")
    assert (await door.get("usage-records/suspense", headers=by("olga"))).json()["records"] == []
    assert len((await door.get("usage-records/suspense?decided=true", headers=by("olga"))).json()["records"]) == 1
    assert (await fed.lookup.get(row.session.id)).session.charged == charged.session.charged
    for body in ({"day": "soon"}, {"day": day, "to": "1999-01-01"}, {"day": "2999-01-01"}, {"moon": 1}):
        assert (
            await door.post("centres/north/usage-records/pull", json=body, headers=by("olga"))
        ).status_code == 400, body
    assert (
        await door.post("centres/moon/usage-records/pull", json={"day": day}, headers=by("olga"))
    ).status_code == 404
    assert (await fed.bookkeeping.verify()).ok


async def test_a_session_whose_record_is_not_believed_waits_for_an_operator(
    world: World, door: httpx.AsyncClient
) -> None:
    fed = world.federation
    row = await used_something(world)
    second = int(fed.clock().timestamp())
    # its accounting's clock is a day ahead
    world.faults["north"].says = {str(at): str(at + 86400) for at in range(second - 60, second + 60)}
    await fed.stopping.cancel(await fed.lookup.get(row.session.id))

    async def suspended() -> Any:
        return (await door.get("usage-records/suspense", headers=by("olga"))).json()["records"]

    waits = await world.until(suspended)
    assert (
        "ahead of the hub's clock" in waits[0]["reason"]
        and (await fed.lookup.get(row.session.id)).session.charged is None
    )
    assert "Not charged until an operator has reviewed its usage record" in await world.log(row.session.id)
    body = {"decision": "believe", "words": "their clock is wrong"}
    assert (await door.post(f"usage-records/suspense/{waits[0]['id']}", json=body, headers=by("olga"))).json()[
        "state"
    ] == "counted"
    done = await fed.lookup.get(row.session.id)
    assert done.session.state == "charged" and done.session.charged
    assert (await fed.bookkeeping.verify()).ok


async def test_a_record_that_its_accounting_is_still_writing_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As slurmdbd has it for a moment when it comes back: the job has ended, but not when."""
    fed, halves = world.federation, 0
    row = await used_something(world)
    really = fed.centres["north"].usage

    async def half(ids: Sequence[str]) -> list[UsageRecord]:
        nonlocal halves
        found = await really(ids)
        if halves == 2 or not any(one.state.ended for one in found):
            return found
        halves += 1
        return [replace(one, ended_at=None) for one in found]

    monkeypatch.setattr(fed.centres["north"], "usage", half)
    await fed.stopping.cancel(await fed.lookup.get(row.session.id))
    charged = await world.reaches(row.session.id, "charged")
    assert (halves, bool(charged.session.charged)) == (2, True)
    assert await fed.db.run(usage_rows.suspended, undecided=False) == []


async def test_what_a_centre_exports_is_taken_in_once(world: World, door: httpx.AsyncClient) -> None:
    fed = world.federation
    row = await used_something(world)
    await fed.stopping.cancel(await fed.lookup.get(row.session.id))
    await world.reaches(row.session.id, "charged")

    def own(tx: Tx) -> Any:
        return serialisation.usage_from(usage_rows.of_session(tx, row.session.id)[-1].record)

    usage = await fed.db.run(own)
    lines = [cloud_events.text(one) for one in cloud_events.events(usage)]
    answer = (await door.post("usage-records/events", json={"events": lines}, headers=by("olga"))).json()
    assert answer == {"taken": len(lines), "sessions": []}
    before = await fed.lookup.get(row.session.id)
    lost = replace(usage, ending=Ending.NODE_FAILURE, state_raw="NODE_FAIL", revision=usage.revision + 1)
    lines = [cloud_events.text(one) for one in cloud_events.events(lost)]
    answer = (await door.post("usage-records/events", json={"events": lines}, headers=by("olga"))).json()
    after = await fed.lookup.get(row.session.id)
    assert answer["sessions"] == [row.session.id] and (before.session.charged or 0) > 0 and after.session.charged == 0
    assert (await door.post("usage-records/events", json={"events": ["{}"]}, headers=by("olga"))).status_code >= 400


async def test_interim_records_are_asked_for_and_the_month_that_is_over_is_charged(world: World) -> None:
    fed = world.federation
    row = await world.submit(centre="north")
    row = await world.reaches(row.session.id, "starting", "ready")
    await fed.accounting_pull.interim("north")
    found = await fed.db.run(usage_rows.of_session, row.session.id)
    assert [one.final for one in found] == [False] and (await fed.lookup.get(row.session.id)).session.charged is None


async def test_what_is_due_is_done_and_a_centre_that_is_away_is_left_alone(world: World) -> None:
    fed = world.federation
    world.clock.skip(2 * DAY)
    await fed.accounting_pull.once("north")
    first = await fed.db.run(manifest_rows.list_for, "north")
    assert len(first) == 1 and not first[0].missing
    world.faults["north"].away = True
    await world.until(lambda: fed.states.centres["north"].failing_since)
    await fed.accounting_pull.once("north")
    assert len(await fed.db.run(manifest_rows.list_for, "north")) == 1
