"""Detects which forwards a centre's sshd refuses, at their first use, and explains the refusal."""

from __future__ import annotations

import asyncio
import contextlib

from ...errors import Denied, Unreachable
from .login_nodes import LoginNodes
from .ssh_master import Master
from .ssh_mux import Forward, MuxError

PROBE = 1.0  # seconds that a first use is watched for sshd's refusal
FORBIDDEN = "forwarding-forbidden"


async def prove(door: LoginNodes, master: Master, forward: Forward) -> None:
    """Detects that sshd forbids a forward. The local port opens nevertheless, and every connection to it ends at once:
    so this connects before others do.

    Nothing is sent; a server that sees the end of the stream closes too. A port without a listener is not a refusal.
    Raises Denied.
    """
    before = master.prohibitions()
    with contextlib.suppress(OSError):
        async with asyncio.timeout(PROBE):
            reader, writer = await asyncio.open_connection(forward.listen_host, forward.listen_port)
            try:
                writer.write_eof()
                await reader.read(1)
            finally:
                writer.close()
    if master.prohibitions() > before:
        where = f"{forward.host}:{forward.port}"
        raise Denied(
            f"centre {door.spec.id}: its sshd forbids TCP forwarding to {where}, so sessions there can't be reached.",
            hint=f"Check AllowTcpForwarding, DisableForwarding and PermitOpen in its sshd_config; ask {door.contact}.",
            code=FORBIDDEN,
        )


def no_way_back(door: LoginNodes, forward: Forward, error: MuxError) -> Unreachable:
    return Unreachable(
        f"centre {door.spec.id}: its sshd doesn't listen on {forward.listen_host}:{forward.listen_port} for the "
        f"hub ({error}).",
        hint=(
            "A connection that died in silence may still hold the port; it comes free when that sshd notices "
            "(ClientAliveInterval). Otherwise another program uses the port, or forwarding is forbidden there "
            f"(AllowTcpForwarding, PermitListen, GatewayPorts clientspecified): ask {door.contact}."
        ),
    )
