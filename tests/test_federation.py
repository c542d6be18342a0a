"""The federation on real embedded centres, with faults as named transports: nothing is lost, doubled or held for ever."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scnet_hub.centres import Centre
from scnet_hub.centres.embedded import EmbeddedCentre, Settings, centre_toml
from scnet_hub.commands import Command, Completed
from scnet_hub.db import Database
from scnet_hub.db import entries as stored_entries
from scnet_hub.db import sessions as stored
from scnet_hub.db.sessions import SessionRow
from scnet_hub.errors import Refused, SpecError, Unreachable
from scnet_hub.federation import Federation
from scnet_hub.jobs import JobRequest, JobState, JobStatus
from scnet_hub.standard.centre import parse_centre
from scnet_hub.standard.federation import parse_federation
from scnet_hub.units import credits

PAGE = """
centres = ["north.toml", "south.toml"]
[[project]]
id = "p"
members = ["ada"]
grants = { first = 100 }
quota = { sessions = 10, cores = 20 }
"""
PAYLOAD = {"argv": ["sleep", "300"], "env": {"JUPYTERHUB_API_TOKEN": "t0ken"}}


class Fault:
    """A transport in which something can go wrong: wraps the real one, and counts what was asked."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.away, self.words = inner, False, ""
        self.lose_answer_to = ""
        self.says: dict[str, str] = {}  # words of an answer → those that come instead
        self.asked: list[str] = []

    async def run(self, command: Command, *, account: str = "", timeout: float = 30) -> Completed:
        verb = next(word for word in command.argv if word in ("sbatch", "squeue", "scancel", "sinfo", "sacct", "scontrol"))
        self.asked.append(verb)
        if self.away:
            raise Unreachable("the network is cut")
        if verb == "sbatch" and self.words:
            return Completed(command, 1, "", self.words)
        done: Completed = await self.inner.run(command, account=account, timeout=timeout)
        if verb == self.lose_answer_to:
            self.lose_answer_to = ""
            raise Unreachable("the connection broke after the command was sent")
        for said, instead in self.says.items():
            done = replace(done, stdout=done.stdout.replace(said, instead))
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class World:
    """Two centres, a database and the federation over them; `restart` makes a new federation on the same database."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.daemons = {
            name: EmbeddedCentre(home / name, Settings(name=name, index=200 + number, nodes=1, cores=4, min_job_age=5))
            for number, name in enumerate(("north", "south"))
        }
        self.faults: dict[str, Fault] = {}

    def build(self) -> Federation:
        centres = {}
        for name, daemon in self.daemons.items():
            text = centre_toml(
                daemon, title=name.title(), python=sys.executable, directory=self.home / "s" / name, interval=1, busy_interval=0.5
            )
            centre = Centre.of(parse_centre(text, source=name))
            centre.transport = self.faults[name] = Fault(centre.transport)  # type: ignore[assignment]
            centres[name] = centre
        db = Database(f"sqlite:///{self.home / 'b.sqlite'}")
        db.open()
        return Federation(parse_federation(PAGE, source="p"), centres, db, call_home_url="http://127.0.0.1:9/{}")

    async def start(self) -> None:
        for daemon in self.daemons.values():
            await asyncio.to_thread(daemon.start)
        await self.restart()

    async def restart(self) -> None:
        self.federation = self.build()
        await self.federation.start()
        await self.until(lambda: all(known.snapshot for known in self.federation.load.centres.values()))

    async def kill(self) -> None:
        """The broker dies: its tasks end, nothing is tidied."""
        await self.federation.stop()
        self.federation.db.close()

    async def stop(self) -> None:
        await self.kill()
        for daemon in self.daemons.values():
            await asyncio.to_thread(daemon.stop)

    async def submit(self, **options: Any) -> SessionRow:
        request = JobRequest(person="ada", project="p", kind="batch", **{"name": "x", **options})
        row, _ = await self.federation.submit(request, PAYLOAD)
        return row

    async def reaches(self, session_id: str, *states: str) -> SessionRow:
        async def there() -> SessionRow | None:
            row = await self.federation.get(session_id)
            return row if row.state in states else None

        row: SessionRow = await self.until(there)
        return row

    async def until(self, true: Callable[[], Any], seconds: float = 30) -> Any:
        async with asyncio.timeout(seconds):
            while True:
                value = true()
                if value := (await value if asyncio.iscoroutine(value) else value):
                    return value
                await asyncio.sleep(0.05)

    def jobs(self, session_id: str) -> int:
        """How many jobs of that session's name the centres ever saw."""
        name = f"scnet-{session_id}"
        rows = [daemon.ask("sacct", "-X", "-n", "-P", f"--name={name}", "-o", "JobID,JobName") for daemon in self.daemons.values()]
        return sum(name in line for text in rows for line in text.splitlines())


@pytest.fixture
async def world(short_path: Path) -> AsyncIterator[World]:
    world = World(short_path)
    await world.start()
    yield world
    await world.stop()


async def test_a_refused_job_moves_to_the_next_best_centre_and_says_so(world: World) -> None:
    world.faults["north"].words = world.faults["south"].words = ""
    world.faults["north"].words = "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified"
    row = await world.submit()
    moved = await world.reaches(row.id, "starting")
    log = (await world.federation.db.run(stored.log, [row.id]))[row.id]
    assert moved.centre == "south" and any("Invalid account" in said and "moved to" in said for _, said in log)


async def test_refused_everywhere_ends_with_the_centres_words_and_holds_nothing(world: World) -> None:
    for fault in world.faults.values():
        fault.words = "sbatch: error: QOSMaxWallDurationPerJobLimit"
    row = await world.submit()
    ended = await world.reaches(row.id, "charged")
    assert "QOSMaxWallDurationPerJobLimit" in ended.end_reason and not ended.live and ended.charged == 0
    assert (await world.federation.reports.balances("ada"))[0]["available"] == 100


async def test_a_lost_answer_to_a_submit_does_not_double_the_job(world: World) -> None:
    for fault in world.faults.values():
        fault.lose_answer_to = "sbatch"
    row = await world.submit()
    await world.reaches(row.id, "starting")
    assert world.jobs(row.id) == 1


async def test_a_job_that_its_centre_accepts_and_can_never_start_is_given_up_with_its_words(world: World) -> None:
    first = await world.submit(centre="north", name="first", cores=4)
    await world.reaches(first.id, "starting")
    world.faults["north"].says = {"|Resources|": "|QOSMaxWallDurationPerJobLimit|"}
    row = await world.submit(centre="north", name="second", cores=4)
    ended = await world.reaches(row.id, "charged")
    assert "can never start: QOSMaxWallDurationPerJobLimit" in ended.end_reason and ended.charged == 0
    assert (await world.federation.get(first.id)).state == "starting"


async def test_an_unreachable_centre_keeps_the_session_and_its_hold(world: World) -> None:
    row = await world.submit(centre="north")
    running = await world.reaches(row.id, "starting")
    world.faults["north"].away = True
    marked = await world.until(lambda: _unknown(world, row.id))
    assert marked.live and marked.state == "starting" and marked.held > 0 and "network is cut" in marked.unknown_why
    world.faults["north"].away = False
    back = await world.until(lambda: _known(world, row.id))
    assert back.job_id == running.job_id and world.jobs(row.id) == 1


async def _unknown(world: World, session_id: str) -> SessionRow | None:
    row = await world.federation.get(session_id)
    return row if row.unknown_since else None


async def _known(world: World, session_id: str) -> SessionRow | None:
    row = await world.federation.get(session_id)
    return row if not row.unknown_since else None


async def test_a_stop_while_the_centre_is_away_is_carried_out_when_it_is_back(world: World) -> None:
    row = await world.submit(centre="north")
    await world.reaches(row.id, "starting")
    world.faults["north"].away = True
    stopping = await world.federation.cancel(await world.federation.get(row.id))
    assert stopping.state == "stopping" and stopping.live
    world.faults["north"].away = False
    ended = await world.reaches(row.id, "charged")
    assert ended.end_reason == "Stopped on request." and not ended.live and ended.payload == {}


async def test_a_broker_that_died_between_intent_and_job_finds_or_makes_the_job_once(world: World) -> None:
    for fault in world.faults.values():
        fault.away = True
    row = await world.submit()
    await world.kill()
    await world.restart()
    await world.reaches(row.id, "starting")
    assert world.jobs(row.id) == 1


async def test_a_broker_restart_keeps_a_running_session_and_charges_it_once(world: World) -> None:
    row = await world.submit()
    running = await world.reaches(row.id, "starting")
    await world.kill()
    await world.restart()
    same = await world.federation.get(row.id)
    assert (same.job_id, same.live) == (running.job_id, True)
    await world.federation.cancel(same)
    await world.reaches(row.id, "charged")
    kinds = [entry.kind for _, entry in await world.federation.db.run(stored_entries.newest, "p") if entry.session == row.id]
    assert sorted(kinds) in (["charge", "hold"], ["hold", "release"])
    assert set((await world.federation.db.run(stored_entries.trial_balance)).values()) == {0}


async def test_two_clicks_at_once_are_one_session(world: World) -> None:
    request = JobRequest(person="ada", project="p", kind="lab", name="")
    rows = await asyncio.gather(*(world.federation.submit(request, PAYLOAD) for _ in range(8)))
    assert len({row.id for row, _ in rows}) == 1 and sum(new for _, new in rows) == 1


async def test_a_class_pressing_start_at_once_spreads_and_stays_within_the_quota(world: World) -> None:
    rows = await asyncio.gather(*(world.submit(name=f"n{i}") for i in range(12)), return_exceptions=True)
    started = [row for row in rows if isinstance(row, SessionRow)]
    assert len(started) == 10 and all(isinstance(row, Refused) for row in rows if row not in started)
    assert {row.centre for row in started} == {"north", "south"}


async def test_questions_per_tick_do_not_grow_with_sessions(world: World) -> None:
    for number in range(3):
        await world.submit(name=f"n{number}", centre="north", cores=1)
    rows = [row for row in await world.federation.db.run(stored.live) if row.centre == "north"]
    for row in rows:
        await world.reaches(row.id, "starting")
    fault = world.faults["north"]
    fault.asked.clear()
    await world.federation.watchers["north"].tick()
    await world.federation.watchers["north"].tick()
    assert fault.asked.count("squeue") <= 8 and fault.asked.count("sinfo") <= 4 and len(rows) == 3


async def test_only_the_sessions_own_nonce_and_address_call_it_home(world: World) -> None:
    row = await world.submit()
    news = {"nonce": "guess", "phase": "listening", "host": "127.0.0.1", "port": 8081, "node": "n"}
    with pytest.raises(Refused, match="nonce"):
        await world.federation.call_home(row.id, news)
    nonce = row.payload["nonce"]
    with pytest.raises(Refused, match="can listen"):
        await world.federation.call_home(row.id, {**news, "nonce": nonce})
    host = world.federation.centres[row.centre].spec.session.host
    await world.federation.call_home(row.id, {**news, "nonce": nonce, "host": host, "port": 5000})
    with pytest.raises(Refused, match="Another copy"):
        await world.federation.call_home(row.id, {**news, "nonce": nonce, "host": host, "port": 5001})
    ready = replace(await world.federation.get(row.id))
    assert (ready.state, ready.port) == ("ready", 5000)


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


async def listening(world: World, row: SessionRow, port: int) -> None:
    host = world.federation.centres[row.centre].spec.session.host
    news = {"nonce": row.payload["nonce"], "phase": "listening", "host": host, "port": port, "node": "n"}
    await world.federation.call_home(row.id, news)


async def test_a_session_opens_one_way_however_often_it_calls_home(world: World, ways: Ways) -> None:
    row = await world.submit()
    calls = await asyncio.gather(*(listening(world, row, port) for port in range(5000, 5020)), return_exceptions=True)
    assert len(ways.open) == 1 and [type(one) for one in calls].count(Refused) == 19


async def test_a_session_that_named_anothers_address_does_not_close_the_way_there(world: World, ways: Ways) -> None:
    one, other = await world.submit(centre="north", name="one"), await world.submit(centre="north", name="other")
    await listening(world, one, 5000)
    await listening(world, other, 5000)
    await world.federation.cancel(await world.federation.get(other.id))
    await world.reaches(other.id, "charged")
    assert len(ways.open) == 1
    await world.federation.cancel(await world.federation.get(one.id))

    async def closed() -> bool:
        return not ways.open

    await world.until(closed, 10)


async def test_a_slow_look_at_the_centre_does_not_undo_what_happened_meanwhile(world: World) -> None:
    row = await world.submit()
    await world.reaches(row.id, "starting")
    stale = JobStatus(state=JobState.RUNNING, seen_at=world.federation.clock(), node="n")
    host = world.federation.centres[row.centre].spec.session.host
    await world.federation.call_home(row.id, {"nonce": row.payload["nonce"], "phase": "listening", "host": host, "port": 5000, "node": "n"})
    await world.federation.heard(row.id, stale, "")
    assert (await world.federation.get(row.id)).state == "ready"
    await world.federation.cancel(await world.federation.get(row.id))
    await world.federation.heard(row.id, replace(stale, state=JobState.QUEUED), "")
    assert (await world.federation.get(row.id)).state in ("stopping", "ended", "charged")


async def test_a_call_home_after_the_end_changes_nothing(world: World) -> None:
    row = await world.submit()
    await world.reaches(row.id, "starting")
    await world.federation.cancel(await world.federation.get(row.id))
    await world.reaches(row.id, "charged")
    with pytest.raises(Refused, match="over"):
        await world.federation.db.run(world.federation._came_home, row.id, {"host": "h", "port": 5}, True, "n")
    assert (await world.federation.get(row.id)).state == "charged"


async def test_a_login_that_hangs_keeps_nobody_else_waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = await world.submit(centre="north", name="one"), await world.submit(centre="north", name="other")
    for row in (one, other):
        await world.reaches(row.id, "starting")
    transport = world.federation.centres["north"].transport
    put, tail = transport.put, transport.tail

    async def slow_put(path: str, data: bytes, **options: Any) -> None:
        await (asyncio.Event().wait() if one.id in path else put(path, data, **options))

    async def slow_tail(path: str, **options: Any) -> str:
        return str(await (asyncio.Event().wait() if one.id in path else tail(path, **options)))

    monkeypatch.setattr(transport, "put", slow_put, raising=False)
    monkeypatch.setattr(transport, "tail", slow_tail, raising=False)
    for row in (one, other):
        job = (await world.federation.get(row.id)).job_id
        world.daemons["north"].ask("scancel", job)  # not by us: the watch reads the last lines of the log
    await world.reaches(other.id, "charged")


async def test_a_stop_never_cancels_a_job_of_another_name(world: World) -> None:
    row = await world.submit(centre="north")
    running = await world.reaches(row.id, "starting")
    other = world.daemons["north"].ask("sbatch", "--parsable", "--job-name=somebody-else", "--wrap=sleep 60").strip()
    await world.federation.cancel_job(replace(running, id="nobodysjob", job_id=other))
    assert "somebody-else" in world.daemons["north"].ask("squeue", "-h", "-o", "%j")


async def test_the_ledger_and_the_session_agree_after_each_move(world: World) -> None:
    row = await world.submit(cores=2)
    for cost in (credits(3), credits("0.5"), credits(2)):
        fresh = await world.federation.get(row.id)
        await world.federation.db.run(world.federation._rebook, fresh, fresh.centre, fresh.partition, cost, "moved")
        held = await world.federation.db.run(stored_entries.balance, "held:p")
        assert held == (await world.federation.get(row.id)).held == cost.micros


async def test_a_federation_that_forgot_a_centre_with_sessions_does_not_start(world: World) -> None:
    row = await world.submit(centre="north")
    await world.reaches(row.id, "starting")
    await world.kill()
    world.daemons, kept = {"south": world.daemons["south"]}, world.daemons
    federation = world.build()
    with pytest.raises(SpecError, match="no longer has"):
        await federation.start()
    await federation.stop()
    federation.db.close()
    world.daemons = kept
    await world.restart()


async def test_an_answer_that_breaks_the_parser_is_a_failure_of_that_centre(world: World) -> None:
    class Odd(Fault):
        async def run(self, command: Command, *, account: str = "", timeout: float = 30) -> Completed:
            raise OverflowError("a date in the year 3000000")

    world.federation.centres["north"].transport = Odd(world.faults["north"].inner)
    known = world.federation.load.centres["north"]
    world.federation.watchers["north"].poke()
    await world.until(lambda: known.state(world.federation.clock()) == "down")
    assert "could not be read" in known.why(world.federation.clock())
