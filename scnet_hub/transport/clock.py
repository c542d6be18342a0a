"""How far a login node's clock is off where it takes no certificate: asked by one that is good for nothing but the answer.

A certificate of minutes is refused in the same words whether a clock is wrong or the account is unknown. This one's window is wide,
and it can only run `date`: so a centre with a wrong clock lets it in and tells the time. Its key is made for one login and thrown away.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import asyncssh

from ..errors import Garbled, Unreachable
from ..standard.centre import CentreSpec
from ..standard.centre import SshTransport as SshSpec
from .certificates import CertificateAuthority
from .connections import KeyPair, Lines, Pace
from .door import Door

if TYPE_CHECKING:
    from . import Means

WIDE = 2 * 86400  # seconds to either side of now: time zones mistaken for each other make a day
DATE = "date +%s"
LONGEST = 30.0

log = logging.getLogger(__name__)


async def seconds_ahead(spec: CentreSpec, means: Means, pace: Pace | None = None) -> float:
    """Positive: the login node's clock is ahead of ours. Raises Denied if it is not the clock that keeps us out."""
    assert isinstance(spec.transport, SshSpec)
    user = spec.transport.user
    authority = CertificateAuthority.open(means.folder)
    lines = Lines(Door(spec, spec.transport), lambda _: _credentials(authority, user), pace or Pace())
    try:
        async with asyncio.timeout(LONGEST), lines.line(user) as line:
            before = time.time()
            done = await line.connection.run(DATE, encoding="utf-8", errors="replace")
            middle = (before + time.time()) / 2
    except TimeoutError as error:
        raise Unreachable(f"centre {spec.id}: `{DATE}` did not answer within {LONGEST:g} s.") from error
    finally:
        await lines.close()
    said = str(done.stdout or "").strip().splitlines()
    if not said or not said[-1].isdecimal():
        raise Garbled(f"centre {spec.id}: `{DATE}` answered {str(done.stdout)[:40]!r}.")
    return int(said[-1]) + 0.5 - middle


def _credentials(authority: CertificateAuthority, user: str) -> Sequence[KeyPair]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    now, serial, key_id = int(time.time()), time.time_ns(), f"scnet:clock:{user}"
    log.info("certificate serial %d for %s as %s, for `%s` alone", serial, user, key_id, DATE)
    certificate = authority.key.generate_user_certificate(
        key.convert_to_public(),
        key_id,
        serial=serial,
        principals=[user],
        valid_after=now - WIDE,
        valid_before=now + WIDE,
        force_command=DATE,
        permit_x11_forwarding=False,
        permit_agent_forwarding=False,
        permit_port_forwarding=False,
        permit_pty=False,
        permit_user_rc=False,
    )
    return [(key, certificate)]
