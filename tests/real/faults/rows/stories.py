"""Marks a test as a story of one centre, run beside those of the other centres (see conftest)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import pytest

from tests.real.testbed import Testbed
from tests.real.testbed.fixtures import need

from .centre import Broken

LONGEST = 900.0  # seconds until a story is told: those of its centre before it count too


@dataclass(frozen=True)
class Story:
    centre: str
    tell: Callable[[Broken], None]


def at(centre: str) -> Callable[[Callable[[Broken], None]], Callable[..., None]]:
    def made(tell: Callable[[Broken], None]) -> Callable[..., None]:
        def test(testbed: Testbed, told: dict[str, Future[None]], request: pytest.FixtureRequest) -> None:
            need(testbed, centre)
            told[request.node.name].result(LONGEST)

        test.__name__, test.__doc__ = tell.__name__, tell.__doc__
        test.story = Story(centre, tell)  # type: ignore[attr-defined]
        return pytest.mark.slow(test)

    return made
