"""Measures how far a login node's clock is off, when the node refuses our certificates: with certificates that allow
nothing but this measurement.

A short-lived certificate is refused with the same words whether a clock is wrong or the account is unknown. The
certificates here are short-lived too, but each covers other minutes, up to an hour and a quarter before and after now,
and can only run `date`: a centre whose clock is off by that much accepts one of the certificates and tells its time.
Their keys are made for one login and discarded.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import asyncssh

from ...domain.standard.centre import CentreSpec
from ...domain.standard.transports import SshTransport as SshSpec
from ...errors import Denied, Garbled, Unreachable
from .certificates import CertificateAuthority
from .connections import KeyPair, Lines, Pace
from .login_nodes import LoginNodes

if TYPE_CHECKING:
    from .transport import Means

WINDOW = 15 * 60  # seconds that each certificate is valid: no longer than any other certificate of the federation
STEP = WINDOW - 60  # seconds between the middles of two windows
STEPS = 5  # windows to either side of now; two in each login, because sshd allows six tries and each key is shown twice
DATE = "date +%s"
LONGEST = 30.0

log = logging.getLogger(__name__)


async def seconds_ahead(spec: CentreSpec, means: Means, pace: Pace | None = None) -> float:
    """Returns seconds; positive: the login node's clock is ahead of ours. Raises Denied if the clock is not the reason
    for the refusal."""
    for step in range(1, STEPS):
        with contextlib.suppress(Denied):
            return await _asked(spec, means, pace or Pace(), (-step, step))
    return await _asked(spec, means, pace or Pace(), (-STEPS, STEPS))


async def _asked(spec: CentreSpec, means: Means, pace: Pace, steps: Sequence[int]) -> float:
    """Returns the seconds measured with the certificates of these windows."""
    assert isinstance(spec.transport, SshSpec)
    user = spec.transport.user
    authority = CertificateAuthority.open(means.folder)
    lines = Lines(
        LoginNodes(spec, spec.transport), lambda _: [_credential(authority, user, step * STEP) for step in steps], pace
    )
    try:
        async with asyncio.timeout(LONGEST), lines.line(user) as line:
            before = time.time()
            done = await line.connection.run(DATE, encoding="utf-8", errors="replace")
            middle = (before + time.time()) / 2
    except TimeoutError as error:
        raise Unreachable(f"centre {spec.id}: `{DATE}` did not answer within {LONGEST:g} s.") from error
    finally:
        await lines.close()
    # no frame: the certificate runs only `date`
    said = re.findall(r"^\d{9,12}$", str(done.stdout or ""), re.MULTILINE | re.ASCII)
    if not said:
        raise Garbled(f"centre {spec.id}: `{DATE}` answered {str(done.stdout)[:40]!r}.")
    return int(said[-1]) + 0.5 - middle


def _credential(authority: CertificateAuthority, user: str, off: int) -> KeyPair:
    """Returns a key and a certificate for a clock that is off by `off` seconds."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    now, serial, key_id = int(time.time()), time.time_ns(), f"scnet:clock:{user}"
    log.info("certificate serial %d for %s as %s, for `%s` alone", serial, user, key_id, DATE)
    certificate = authority.key.generate_user_certificate(
        key.convert_to_public(),
        key_id,
        serial=serial,
        principals=[user],
        valid_after=now + off - WINDOW // 2,
        valid_before=now + off + WINDOW // 2,
        force_command=DATE,
        permit_x11_forwarding=False,
        permit_agent_forwarding=False,
        permit_port_forwarding=False,
        permit_pty=False,
        permit_user_rc=False,
    )
    return key, certificate
