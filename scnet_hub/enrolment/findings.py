"""The findings of a check of a centre: hops, each in order, doubtful, failed or skipped, with words and what to try.

A hop is a function that returns its finding, or raises: `Problem` (something must be fixed), `Doubt` (it works, but
an operator should look), `Skip` (there is nothing to check). Knows nothing of centres.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from ..errors import ScnetError

V = TypeVar("V")
LONGEST = 180.0  # seconds for one hop, unless the caller gives another limit


class State(Enum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of a check."""

    name: str
    state: State
    found: str
    hint: str = ""
    seconds: float = 0.0

    def document(self) -> dict[str, object]:
        return {
            "name": self.name,
            "state": self.state.value,
            "found": self.found,
            "hint": self.hint,
            "seconds": round(self.seconds, 2),
        }


class Problem(ScnetError):
    code = "problem"


class Doubt(ScnetError):
    code = "doubt"


class Skip(ScnetError):
    code = "skipped"


@dataclass(frozen=True, slots=True)
class Hop(Generic[V]):
    """A hop. `needs`: hops that must have passed (in order or doubtful) before this hop is checked, if they are part of
    the check."""

    name: str
    look: Callable[[V], Awaitable[str]]
    needs: tuple[str, ...] = ()


async def walk(visit: V, hops: Sequence[Hop[V]], *, longest: float = LONGEST) -> AsyncIterator[Finding]:
    """Yields every hop's finding, in order. A hop whose needed hop did not pass is skipped; the others are checked."""
    walked = {hop.name for hop in hops}
    passed: set[str] = set()
    for hop in hops:
        missing = [need for need in hop.needs if need in walked and need not in passed]
        if missing:
            yield Finding(name=hop.name, state=State.SKIPPED, found=f"not checked: {missing[0]} must pass first")
            continue
        finding = await _look(visit, hop, longest)
        if finding.state in (State.OK, State.WARN):
            passed.add(hop.name)
        yield finding


async def _look(visit: V, hop: Hop[V], longest: float) -> Finding:
    began = time.monotonic()

    def finding(state: State, found: str, hint: str = "") -> Finding:
        return Finding(name=hop.name, state=state, found=found, hint=hint, seconds=time.monotonic() - began)

    try:
        async with asyncio.timeout(longest):
            return finding(State.OK, await hop.look(visit))
    except Doubt as error:
        return finding(State.WARN, str(error), error.hint)
    except Skip as error:
        return finding(State.SKIPPED, str(error), error.hint)
    except ScnetError as error:
        return finding(State.FAIL, str(error), error.hint)
    except TimeoutError:
        return finding(
            State.FAIL,
            f"did not end within {longest:g} s",
            "The centre answers too slowly: check its login node's load.",
        )
    except OSError as error:
        return finding(State.FAIL, f"{type(error).__name__}: {error}", "The check itself failed: see the message.")


def words_of(error: BaseException) -> str:
    """Returns why a connection failed, without its address and number."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    number = getattr(error, "errno", None) or 0
    return os.strerror(number) if number > 0 else str(getattr(error, "strerror", "") or error)
