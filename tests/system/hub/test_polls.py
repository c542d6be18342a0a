"""Tests that concurrent polls of many servers make one call to the broker, whose answer is never older than the
poll."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from scnet_hub.errors import BrokerError, NotFound
from scnet_hub.hub.poll_batcher import PollBatcher

Json = dict[str, Any]


class Asked:
    """The broker's line, with what was asked; `open` lets lists be answered, of which one `came`."""

    def __init__(self, **sessions: Json) -> None:
        self.sessions, self.asked = sessions, list[str]()
        self.open, self.came, self.away = asyncio.Event(), asyncio.Event(), False
        self.open.set()

    async def session(self, person: str, session_id: str, *, timeout: float) -> Json:
        self.asked.append(session_id)
        await asyncio.sleep(0)
        if session_id not in self.sessions:
            raise NotFound(session_id)
        return {**self.sessions[session_id], "whole": True}

    async def labs(self, *, timeout: float) -> list[Json]:
        self.asked.append("GET sessions")
        self.came.set()
        found = [dict(one) for one in self.sessions.values() if one["live"]]
        await self.open.wait()
        if self.away:
            raise BrokerError("away")
        return found


def session(name: str, **facts: Any) -> Json:
    return {"id": name, "live": True, "continues": "", "port": 1, **facts}


def many(count: int) -> dict[str, Json]:
    return {f"s{number}": session(f"s{number}") for number in range(count)}


async def ask(polls: PollBatcher, *ids: str) -> list[Any]:
    async with asyncio.timeout(5):
        return await asyncio.gather(*(polls.session("ada", one, timeout=2) for one in ids), return_exceptions=True)


async def test_one_alone_is_asked_for_alone() -> None:
    broker = Asked(**many(3))
    polls = PollBatcher(broker)  # type: ignore[arg-type]
    assert [(await ask(polls, one))[0]["id"] for one in ("s0", "s1")] == ["s0", "s1"]
    assert broker.asked == ["s0", "s1"]


async def test_many_at_once_share_one_question() -> None:
    broker = Asked(**many(300))
    found = await ask(PollBatcher(broker), *broker.sessions)  # type: ignore[arg-type]
    assert [one["id"] for one in found] == list(broker.sessions)
    assert broker.asked == ["s0", "GET sessions"]


async def test_who_comes_while_a_question_is_under_way_hears_of_what_happened_meanwhile() -> None:
    broker = Asked(**many(3))
    polls = PollBatcher(broker)  # type: ignore[arg-type]
    broker.open.clear()
    early = asyncio.create_task(ask(polls, "s0", "s1"))
    await broker.came.wait()
    broker.sessions["s2"]["port"] = 2
    polls_again = asyncio.create_task(ask(polls, "s0", "s2"))
    await asyncio.sleep(0)
    broker.open.set()
    await early
    assert (await polls_again)[1]["port"] == 2


async def test_one_that_ended_or_goes_on_as_another_is_asked_for_by_itself() -> None:
    broker = Asked(s0=session("s0"), s1=session("s1", live=False), s2=session("s2"), s3=session("s3", continues="s2"))
    found = await ask(PollBatcher(broker), "s0", "s1", "s2", "s3", "s4")  # type: ignore[arg-type]
    assert [one.get("whole", False) for one in found[:4]] == [True, True, True, False]
    assert isinstance(found[4], NotFound)


async def test_no_answer_is_everybodys_and_the_next_poll_asks_again() -> None:
    broker = Asked(**many(3))
    polls = PollBatcher(broker)  # type: ignore[arg-type]
    broker.away = True
    assert [type(one) for one in await ask(polls, *broker.sessions)] == [dict, BrokerError, BrokerError]
    broker.away = False
    assert [one["id"] for one in await ask(polls, *broker.sessions)] == list(broker.sessions)


async def test_one_who_lets_go_leaves_the_others_their_answer() -> None:
    broker = Asked(**many(3))
    polls = PollBatcher(broker)  # type: ignore[arg-type]
    broker.open.clear()
    asking = [asyncio.create_task(polls.session("ada", one, timeout=2)) for one in broker.sessions]
    await broker.came.wait()
    asking[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking[1]
    broker.open.set()
    assert (await asking[2])["id"] == "s2"
