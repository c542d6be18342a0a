"""The proxy's program: installed into this environment the first time that a demo needs it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from ..errors import ScnetError
from ..setup.proxy import HERE, Proxy, node
from ..setup.steps import Failed, alone, run_steps


def install_proxy(say: Callable[[str], None], prefix: Path = Path(sys.prefix)) -> None:
    """Installs the proxy into the environment at `prefix` unless it is there as its lock says. Raises ScnetError with
    the command that does it."""
    part = Proxy(prefix)
    if part.done():
        return
    say(f"installing the proxy into {part.folder}, once for this environment")
    try:
        with alone(prefix):
            run_steps([part])
    except (Failed, OSError) as error:
        raise ScnetError(
            f"The proxy is not installed: {error}", hint=f"Install it by `{HERE}`, then start again.", code="no-proxy"
        ) from error


def node_and_proxy(prefix: Path = Path(sys.prefix)) -> list[str]:
    """Returns the command of configurable-http-proxy in the environment at `prefix`. Raises ScnetError if the proxy or
    a node for it is not installed."""
    program, found = Proxy(prefix).program, node(prefix)
    if not program.exists() or found is None:
        what = "No node for the proxy" if found is None else "The proxy"
        raise ScnetError(f"{what} is not installed.", hint=f"Install it by `{HERE}`.", code="no-proxy")
    return [str(found), str(program)]
