"""Tests a federation of two centres, with faults as named transports: nothing is lost, doubled or held for ever."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from scnet_hub.adapters.db.queries import entries as entry_rows
from scnet_hub.adapters.db.queries import sessions as session_rows
from scnet_hub.display import endings
from scnet_hub.domain.commands import Command, Completed
from scnet_hub.domain.jobs import JobRequest, JobState, JobStatus
from scnet_hub.domain.sessions.records import SessionCopy
from scnet_hub.errors import NotStored, Refused, SpecError
from tests.builders.centre import Program, Run
from tests.federation.world import PAYLOAD, Fault, World


async def test_a_refused_job_moves_to_the_next_best_centre_and_says_so(world: World) -> None:
    world.faults["north"].words = world.faults["south"].words = ""
    world.faults[
        "north"
    ].words = "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified"
    row = await world.submit()
    moved = await world.reaches(row.session.id, "starting")
    log = (await world.federation.db.run(session_rows.events_of, [row.session.id]))[row.session.id]
    assert moved.copy.centre == "south" and any("Invalid account" in said and "moved to" in said for _, said in log)


async def test_refused_everywhere_ends_with_the_centres_words_and_holds_nothing(world: World) -> None:
    for fault in world.faults.values():
        fault.words = "sbatch: error: QOSMaxWallDurationPerJobLimit"
    row = await world.submit()
    ended = await world.reaches(row.session.id, "charged")
    assert (
        "QOSMaxWallDurationPerJobLimit" in ended.session.end_reason
        and not ended.session.live
        and ended.session.charged == 0
    )
    assert (await world.federation.reports.balances("ada"))[0][0]["available"] == 100


async def test_a_lost_answer_to_a_submit_does_not_double_the_job(world: World) -> None:
    for fault in world.faults.values():
        fault.lose_answer_to = "sbatch"
    row = await world.submit()
    await world.reaches(row.session.id, "starting")
    assert world.jobs(row.session.id) == 1


async def test_a_job_that_its_centre_accepts_and_can_never_start_is_given_up_with_its_words(world: World) -> None:
    first = await world.submit(centre="north", name="first", cores=4)
    await world.reaches(first.session.id, "starting")
    world.faults["north"].says = {"|Resources|": "|QOSMaxWallDurationPerJobLimit|"}
    row = await world.submit(centre="north", name="second", cores=4)
    ended = await world.reaches(row.session.id, "charged")
    assert "can never start: QOSMaxWallDurationPerJobLimit" in ended.session.end_reason and ended.session.charged == 0
    assert (await world.federation.lookup.get(first.session.id)).session.state == "starting"


async def test_a_centre_that_hung_is_asked_again_soon(world: World) -> None:
    """How long it hung says nothing of how much it has to do: the pause is that of a calm centre, not a multiple."""
    known = world.federation.states.centres["north"]
    world.faults["north"].hangs = 3
    await world.until(lambda: "did not end" in known.failure)
    world.faults["north"].hangs = 0
    await world.until(lambda: not known.failing_since, seconds=6)


async def test_an_unreachable_centre_keeps_the_session_and_its_hold(world: World) -> None:
    row = await world.submit(centre="north")
    running = await world.reaches(row.session.id, "starting")
    world.faults["north"].away = True
    marked = await world.until(lambda: _unknown(world, row.session.id))
    assert marked.session.live and marked.session.state == "starting" and marked.session.held > 0
    assert "network is cut" in marked.copy.unknown_why
    world.faults["north"].away = False
    back = await world.until(lambda: _known(world, row.session.id))
    assert back.copy.job_id == running.copy.job_id and world.jobs(row.session.id) == 1


async def _unknown(world: World, session_id: str) -> SessionCopy | None:
    row = await world.federation.lookup.get(session_id)
    return row if row.copy.unknown_since else None


async def _known(world: World, session_id: str) -> SessionCopy | None:
    row = await world.federation.lookup.get(session_id)
    return row if not row.copy.unknown_since else None


async def test_a_stop_while_the_centre_is_away_is_carried_out_when_it_is_back(world: World) -> None:
    row = await world.submit(centre="north")
    await world.reaches(row.session.id, "starting")
    world.faults["north"].away = True
    stopping = await world.federation.stopping.cancel(await world.federation.lookup.get(row.session.id))
    assert stopping.session.state == "stopping" and stopping.session.live
    world.faults["north"].away = False
    ended = await world.reaches(row.session.id, "charged")
    assert ended.session.end_reason == "Stopped on request." and not ended.session.live and ended.session.payload == {}


async def test_a_stop_before_anything_was_submitted_submits_nothing(world: World) -> None:
    world.faults["north"].away = True
    row = await world.submit(centre="north")
    await world.federation.stopping.cancel(row)
    world.faults["north"].away = False
    ended = await world.reaches(row.session.id, "charged")
    assert (ended.session.charged, ended.session.held > 0, world.jobs(row.session.id)) == (0, True, 0)
    assert (await world.federation.reports.balances("ada"))[0][0]["available"] == 100


async def test_a_broker_that_died_between_intent_and_job_finds_or_makes_the_job_once(world: World) -> None:
    for fault in world.faults.values():
        fault.away = True
    row = await world.submit()
    await world.kill()
    await world.restart()
    await world.reaches(row.session.id, "starting")
    assert world.jobs(row.session.id) == 1


async def test_a_start_in_a_brokers_first_moment_waits_for_its_first_look(world: World) -> None:
    await world.kill()
    world.federation = world.build()
    await world.federation.start()
    assert (await world.submit(centre="north")).copy.centre == "north"


async def test_a_database_that_takes_nothing_for_a_while_loses_no_start(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, full = world.federation.db.run, [True]

    async def filled(work: Any, *args: Any, **kwargs: Any) -> Any:
        if full[0] and getattr(work, "__name__", "") in ("_has_job", "_change"):
            raise NotStored("the disk is full")
        return await run(work, *args, **kwargs)

    monkeypatch.setattr(world.federation.db, "run", filled)
    row = await world.submit()
    await world.until(lambda: "sbatch" in world.faults[row.copy.centre].asked)
    full[0] = False
    await world.reaches(row.session.id, "starting")
    assert world.jobs(row.session.id) == 1


async def test_a_broker_restart_keeps_a_running_session_and_charges_it_once(world: World) -> None:
    row = await world.submit()
    running = await world.reaches(row.session.id, "starting")
    await world.kill()
    await world.restart()
    same = await world.federation.lookup.get(row.session.id)
    assert (same.copy.job_id, same.session.live) == (running.copy.job_id, True)
    await world.federation.stopping.cancel(same)
    await world.reaches(row.session.id, "charged")
    kinds = [
        entry.kind
        for _, entry in await world.federation.db.run(entry_rows.newest, "p")
        if entry.session == row.session.id
    ]
    assert sorted(kinds) in (["charge", "hold"], ["hold", "release"])
    assert set((await world.federation.db.run(entry_rows.trial_balance)).values()) == {0}


async def test_two_clicks_at_once_are_one_session(world: World) -> None:
    request = JobRequest(person="ada", project="p", kind="lab", name="")
    rows = await asyncio.gather(*(world.federation.submission.submit(request, PAYLOAD) for _ in range(8)))
    assert len({row.session.id for row, _ in rows}) == 1 and sum(new for _, new in rows) == 1


async def test_a_class_pressing_start_at_once_spreads_and_stays_within_the_quota(world: World) -> None:
    rows = await asyncio.gather(*(world.submit(name=f"n{i}") for i in range(12)), return_exceptions=True)
    started = [row for row in rows if isinstance(row, SessionCopy)]
    assert len(started) == 10 and all(isinstance(row, Refused) for row in rows if row not in started)
    assert {row.copy.centre for row in started} == {"north", "south"}


async def test_questions_per_tick_do_not_grow_with_sessions(world: World) -> None:
    for number in range(3):
        await world.submit(name=f"n{number}", centre="north", cores=1)
    rows = [row for row in await world.federation.db.run(session_rows.live) if row.copy.centre == "north"]
    for row in rows:
        await world.reaches(row.session.id, "starting")
    fault = world.faults["north"]
    fault.asked.clear()
    await world.federation.watchers["north"].tick()
    await world.federation.watchers["north"].tick()
    assert fault.asked.count("squeue") <= 8 and fault.asked.count("sinfo") <= 4 and len(rows) == 3


async def test_only_the_sessions_own_nonce_and_address_call_it_home(world: World) -> None:
    row = await world.submit()
    news = {"nonce": "guess", "phase": "listening", "host": "127.0.0.1", "port": 8081, "node": "n"}
    with pytest.raises(Refused, match="nonce"):
        await world.federation.call_home.call_home(row.session.id, news)
    nonce = row.copy.secret
    with pytest.raises(Refused, match="can listen"):
        await world.federation.call_home.call_home(row.session.id, {**news, "nonce": nonce})
    host = world.federation.centres[row.copy.centre].spec.session.host
    await world.federation.call_home.call_home(row.session.id, {**news, "nonce": nonce, "host": host, "port": 5000})
    with pytest.raises(Refused, match="Another copy"):
        await world.federation.call_home.call_home(row.session.id, {**news, "nonce": nonce, "host": host, "port": 5001})
    ready = await world.federation.lookup.get(row.session.id)
    assert (ready.session.state, ready.copy.port) == ("ready", 5000)


class Ways:
    """What is forwarded, at a centre whose every address is direct."""

    def __init__(self) -> None:
        self.open: set[tuple[str, int]] = set()

    async def forward(self, host: str, port: int) -> tuple[str, int]:
        self.open.add((host, port))
        return host, port

    async def unforward(self, host: str, port: int) -> None:
        self.open.discard((host, port))


@pytest.fixture
def ways(world: World, monkeypatch: pytest.MonkeyPatch) -> Ways:
    ways = Ways()
    for centre in world.federation.centres.values():
        monkeypatch.setattr(centre.transport, "forward", ways.forward)
        monkeypatch.setattr(centre.transport, "unforward", ways.unforward)
    return ways


async def test_a_session_opens_one_way_however_often_it_calls_home(world: World, ways: Ways) -> None:
    row = await world.submit()
    calls = await asyncio.gather(*(world.listens(row, port) for port in range(5000, 5020)), return_exceptions=True)
    assert len(ways.open) == 1 and [type(one) for one in calls].count(Refused) == 19


async def test_a_session_that_named_anothers_address_does_not_close_the_way_there(world: World, ways: Ways) -> None:
    one, other = await world.submit(centre="north", name="one"), await world.submit(centre="north", name="other")
    await world.listens(one)
    await world.listens(other)
    await world.federation.stopping.cancel(await world.federation.lookup.get(other.session.id))
    await world.reaches(other.session.id, "charged")
    assert len(ways.open) == 1
    await world.federation.stopping.cancel(await world.federation.lookup.get(one.session.id))

    async def closed() -> bool:
        return not ways.open

    await world.until(closed, 10)


async def test_a_slow_look_at_the_centre_does_not_undo_what_happened_meanwhile(world: World) -> None:
    row = await world.submit()
    await world.reaches(row.session.id, "starting")
    stale = JobStatus(state=JobState.RUNNING, seen_at=world.federation.clock(), node="n")
    host = world.federation.centres[row.copy.centre].spec.session.host
    await world.federation.call_home.call_home(
        row.session.id, {"nonce": row.copy.secret, "phase": "listening", "host": host, "port": 5000, "node": "n"}
    )
    await world.federation.endings.take_status(row, stale, "")
    assert (await world.federation.lookup.get(row.session.id)).session.state == "ready"
    await world.federation.stopping.cancel(await world.federation.lookup.get(row.session.id))
    await world.federation.endings.take_status(row, replace(stale, state=JobState.QUEUED), "")
    assert (await world.federation.lookup.get(row.session.id)).session.state in ("stopping", "ended", "charged")


async def test_a_call_home_after_the_end_changes_nothing(world: World) -> None:
    row = await world.submit()
    await world.reaches(row.session.id, "starting")
    await world.federation.stopping.cancel(await world.federation.lookup.get(row.session.id))
    await world.reaches(row.session.id, "charged")
    with pytest.raises(Refused, match="over"):
        await world.federation.db.run(
            world.federation.call_home.came_home, row.copy, {"host": "h", "port": 5}, True, "n"
        )
    assert (await world.federation.lookup.get(row.session.id)).session.state == "charged"


async def test_a_login_that_hangs_keeps_nobody_else_waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = await world.submit(centre="north", name="one"), await world.submit(centre="north", name="other")
    for row in (one, other):
        await world.reaches(row.session.id, "starting")
    transport = world.federation.centres["north"].transport
    put, tail = transport.put, transport.tail

    async def slow_put(path: str, data: bytes, **options: Any) -> None:
        await (asyncio.Event().wait() if one.session.id in path else put(path, data, **options))

    async def slow_tail(path: str, **options: Any) -> str:
        return str(await (asyncio.Event().wait() if one.session.id in path else tail(path, **options)))

    monkeypatch.setattr(transport, "put", slow_put, raising=False)
    monkeypatch.setattr(transport, "tail", slow_tail, raising=False)
    for row in (one, other):
        job = (await world.federation.lookup.get(row.session.id)).copy.job_id
        world.centres["north"].ask("scancel", job)  # not by us: the watch reads the last lines of the log
    await world.reaches(other.session.id, "charged")


async def test_a_stop_never_cancels_a_job_of_another_name(world: World) -> None:
    row = await world.submit(centre="north")
    running = await world.reaches(row.session.id, "starting")
    other = world.centres["north"].ask("sbatch", "--parsable", "--job-name=somebody-else", "--wrap=sleep 60").strip()
    await world.federation.stopping.cancel_job(replace(running.copy, session="nobodysjob", job_id=other))
    assert "somebody-else" in world.centres["north"].ask("squeue", "-h", "-o", "%j")


async def test_a_federation_that_forgot_a_centre_with_sessions_does_not_start(world: World) -> None:
    row = await world.submit(centre="north")
    await world.reaches(row.session.id, "starting")
    await world.kill()
    world.centres, kept = {"south": world.centres["south"]}, world.centres
    federation = world.build()
    with pytest.raises(SpecError, match="no longer has"):
        await federation.start()
    await federation.stop()
    federation.db.close()
    world.centres = kept
    await world.restart()


async def test_an_answer_that_breaks_the_parser_is_a_failure_of_that_centre(world: World) -> None:
    class Odd(Fault):
        async def run(self, command: Command, *, account: str = "", timeout: float = 30) -> Completed:
            raise OverflowError("a date in the year 3000000")

    world.federation.centres["north"].transport = Odd(world.faults["north"].inner)
    known = world.federation.states.centres["north"]
    world.federation.watchers["north"].wake()
    await world.until(lambda: known.state(world.federation.clock()) == "down")
    assert "could not be read" in known.why(world.federation.clock())


async def test_a_lab_that_dies_while_it_is_used_keeps_why_its_exit_code_and_the_end_of_its_log(world: World) -> None:
    go = asyncio.Event()

    async def dies(run: Run) -> int:
        await go.wait()
        run.say("Killed: 3.9 GiB used\n")
        return 3

    world.runs(Program(dies), "north")
    row = await world.submit(kind="lab", name="", centre="north")
    await world.listens(await world.reaches(row.session.id, "starting"))
    go.set()
    ended = await world.reaches(row.session.id, "charged")
    [told] = await world.federation.reports.sessions([ended])
    assert (
        told["exit_code"] == "3:0"
        and endings.outcome(told) == "failed"
        and endings.cause(told) == "The job failed with exit code 3."
    )
    assert endings.log_end(told) == "Killed: 3.9 GiB used" and "last lines of its log" in endings.advice(told)
