"""Tests a walk over hops: a hop that needs a failed hop is skipped, other hops continue, and no failure ends the
walk."""

import asyncio
from collections.abc import Awaitable, Callable

from scnet_hub.enrolment.findings import Doubt, Finding, Hop, Problem, Skip, State, walk
from scnet_hub.errors import Unreachable


def hop(name: str, *needs: str, says: str | Exception = "fine") -> Hop[None]:
    async def look(_: None) -> str:
        if isinstance(says, Exception):
            raise says
        return says

    return Hop(name, look, needs)


async def walked(*hops: Hop[None], longest: float = 5) -> dict[str, Finding]:
    return {finding.name: finding async for finding in walk(None, hops, longest=longest)}


async def test_a_failed_hop_says_why_and_what_to_try() -> None:
    found = await walked(hop("port", says=Problem("nothing listens", hint="Start sshd.")))
    assert (found["port"].state, found["port"].found, found["port"].hint) == (
        State.FAIL,
        "nothing listens",
        "Start sshd.",
    )


async def test_what_needs_a_failed_hop_is_skipped_and_so_is_what_needs_that() -> None:
    found = await walked(hop("port", says=Problem("no")), hop("login", "port"), hop("job", "login"), hop("page"))
    assert [finding.state for finding in found.values()] == [State.FAIL, State.SKIPPED, State.SKIPPED, State.OK]
    assert "login" in found["job"].found


async def test_a_doubt_is_passed_and_a_skip_is_not() -> None:
    found = await walked(hop("a", says=Doubt("odd")), hop("b", "a"), hop("c", says=Skip("nobody named")), hop("d", "c"))
    assert [finding.state for finding in found.values()] == [State.WARN, State.OK, State.SKIPPED, State.SKIPPED]


async def test_a_need_that_is_not_walked_at_all_is_no_obstacle() -> None:
    assert (await walked(hop("scheduler", "login")))["scheduler"].state is State.OK


async def test_any_error_of_the_outside_is_a_finding_not_the_end() -> None:
    found = await walked(hop("a", says=Unreachable("gone")), hop("b", says=OSError("disk")), hop("c"))
    assert [finding.state for finding in found.values()] == [State.FAIL, State.FAIL, State.OK]


async def test_a_hop_without_end_is_cut_off() -> None:
    async def forever(_: None) -> str:
        await asyncio.Event().wait()
        return ""

    look: Callable[[None], Awaitable[str]] = forever
    found = await walked(Hop("slow", look), longest=0.05)
    assert found["slow"].state is State.FAIL and "within 0.05 s" in found["slow"].found
