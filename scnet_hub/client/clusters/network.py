"""Determines where a cluster's scheduler listens, where its workers can run, and where its dashboard is visible, from
the session's environment."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

ANYWHERE = ("", "0.0.0.0", "::", "*")


def listening_host(env: Mapping[str, str] = os.environ) -> str:
    """Returns an address of this machine that workers reach: SCNET_HOST, else the address that this session's server
    listens on, else loopback. For a server that listens everywhere, the host's name."""
    host = env.get("SCNET_HOST") or urlsplit(env.get("JUPYTERHUB_SERVICE_URL", "")).hostname
    if host is None:
        return "127.0.0.1"
    return socket.gethostname() if host in ANYWHERE else host


def own_centre(host: str, env: Mapping[str, str] = os.environ) -> str:
    """Returns where workers must run to reach a scheduler on `host`: at this session's own centre. A scheduler on
    loopback is on a machine that all centres share (a demo), so its workers may run anywhere."""
    return "" if host.startswith("127.") else env.get("SCNET_CENTRE", "")


def dashboard_link(port: int, env: Mapping[str, str] = os.environ) -> str:
    """Returns the address of the dashboard: through the hub's own route to this session, absolute if the hub gave its
    address; on loopback outside a hub."""
    path = dashboard_path(port, env)
    if not path:
        return f"http://127.0.0.1:{port}/status"
    public = urlsplit(env.get("JUPYTERHUB_PUBLIC_URL") or env.get("JUPYTERHUB_HOST") or "")
    origin = f"{public.scheme}://{public.netloc}" if public.scheme and public.netloc else ""
    return f"{origin}{path}"


def dashboard_path(port: int, env: Mapping[str, str] = os.environ) -> str:
    """Returns the dashboard's path on the hub; "" outside a hub."""
    prefix = env.get("JUPYTERHUB_SERVICE_PREFIX", "")
    return f"{prefix.rstrip('/')}/proxy/{port}/status" if prefix else ""
