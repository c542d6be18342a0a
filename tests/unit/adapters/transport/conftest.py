"""Fixtures of the transports."""

from collections.abc import AsyncIterator, Callable

import pytest

from scnet_hub.adapters.transport.connections import Pace
from scnet_hub.adapters.transport.ssh import SshTransport
from scnet_hub.domain.standard.centre import CentreSpec

from .sshd import Sshd, sshd

__all__ = ["sshd"]
Ways = Callable[..., SshTransport]


@pytest.fixture
async def ways(sshd: Sshd) -> AsyncIterator[Ways]:
    """Makes transports to `sshd`, by its own spec if none is given, and ends them all. `pace`: fields of Pace."""
    made: list[SshTransport] = []

    def make(spec: CentreSpec | None = None, *, public_url: str = "", **pace: float) -> SshTransport:
        made.append(SshTransport(spec or sshd.spec(), sshd.means(public_url), never=(), pace=Pace(**pace)))
        return made[-1]

    yield make
    for one in made:
        await one.end()
