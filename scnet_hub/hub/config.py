"""Configures JupyterHub as the interactive front of a federation. Only this room imports JupyterHub.

`configure(c, home)` makes all settings that jupyterhub_config.py doesn't make; those made there override these.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from ..adapters.secret_files import make_secret
from ..domain.addresses import OPERATE, USE
from ..errors import SpecError
from .ports import Ports


def configure(c: Any, home: Path) -> None:
    """Configures JupyterHub for the federation whose state is in `home`; proxy and broker are separate processes."""
    from .addressing import set_addresses, stop_at_contradictions
    from .fresh_login import ask_for_recent_logins
    from .handlers import close_batchspawners_door, handlers, put_ours_in_place
    from .preload import hold_people

    ports = Ports.read(home)
    try:
        ports.check()
    except SpecError as error:  # print a sentence, without a traceback
        raise SystemExit(f"{error} {error.hint}") from error
    close_batchspawners_door()
    put_ours_in_place()
    ask_for_recent_logins(c)
    set_addresses(c, ports)
    _files(c, home)
    _outlive_restarts(c)
    _answers(c, ports)
    _roles(c, home)
    _spawner(c, ports, home)
    _pages(c)
    # the proxy, and a TLS proxy before it; people connect from elsewhere
    c.JupyterHub.trusted_downstream_ips = [
        "127.0.0.1",
        "::1",
    ]
    c.JupyterHub.extra_handlers = handlers
    if hub := _starting():
        stop_at_contradictions(hub, ports)
        hold_people(hub)
        _rejoin(hub, ports, home)


def _files(c: Any, home: Path) -> None:
    from .proxy import LastingProxy

    c.JupyterHub.db_url = f"sqlite:///{home / 'hub.sqlite'}"
    c.JupyterHub.cookie_secret_file = str(home / "secrets" / "cookie_secret")
    c.JupyterHub.proxy_class = LastingProxy
    c.ConfigurableHTTPProxy.should_start = False
    c.ConfigurableHTTPProxy.auth_token = make_secret(home / "secrets" / "proxy.token")
    c.ConfigurableHTTPProxy.check_running_interval = 5


def _outlive_restarts(c: Any) -> None:
    """Makes the hub leave servers and routes when it stops or is killed, and resume them at its start."""
    c.JupyterHub.cleanup_servers = False
    c.JupyterHub.cleanup_proxy = False
    c.JupyterHub.init_spawners_timeout = 1


def _answers(c: Any, ports: Ports) -> None:
    """Sets the headers of the hub's answers, and their logging."""
    from .addressing import Scheme
    from .headers import tornado_settings

    told = tornado_settings(ports.address, ports.subdomains)
    c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0, "log_function": Scheme(ports), **told}


def _roles(c: Any, home: Path) -> None:
    c.JupyterHub.custom_scopes = {
        USE: {"description": "See the centres; start, see and stop one's own sessions; see one's own balances."},
        OPERATE: {
            "description": "See and stop all people's sessions; see every project's balance.",
            "subscopes": [USE],
        },
    }
    c.JupyterHub.services = [
        {"name": "scnet", "url": f"http://127.0.0.1:{Ports.read(home).broker}", "display": False},
        {"name": "scnet-operator", "api_token": make_secret(home / "secrets" / "operator.token"), "display": False},
        {"name": "scnet-rejoin", "api_token": make_secret(home / "secrets" / "rejoin.token"), "display": False},
    ]
    c.JupyterHub.load_roles = [
        {"name": "user", "scopes": ["self", USE, "access:services!service=scnet"]},
        {
            "name": "scnet-operator",
            "scopes": [OPERATE, USE, "access:services!service=scnet"],
            "services": ["scnet-operator"],
        },
        {"name": "scnet-rejoin", "scopes": ["start:servers"], "services": ["scnet-rejoin"]},
    ]


def _spawner(c: Any, ports: Ports, home: Path) -> None:
    from .spawner import FederatedSpawner
    from .views.start_page import options_form, options_from_form

    c.JupyterHub.spawner_class = FederatedSpawner
    make_secret(home / "secrets" / "hub.token")
    c.FederatedSpawner.broker_url = ports.broker_api
    c.FederatedSpawner.broker_token_file = str(home / "secrets" / "hub.token")
    c.FederatedSpawner.hub_public_url = ports.address.hub_api
    c.FederatedSpawner.cancel_folder = str(home / "cancels")
    c.FederatedSpawner.options_form = options_form
    c.FederatedSpawner.options_from_form = options_from_form
    c.Spawner.environment = {"SCNET_API_URL": ports.address.api}
    c.Spawner.server_token_scopes = ["users:activity!user", "access:servers!server", USE]
    c.Spawner.start_timeout = 24 * 3600
    c.Spawner.http_timeout = 60


def _starting() -> Any:
    """Returns the hub that is starting; None if another program reads the configuration."""
    from jupyterhub.app import JupyterHub

    hub = JupyterHub.instance() if JupyterHub.initialized() else None
    return hub if getattr(hub, "_start_future", None) else None


def _rejoin(hub: Any, ports: Ports, home: Path) -> None:
    """Runs `Rejoin` from the hub's start on."""
    from . import rejoin
    from .shared_clients import broker_of, cancels_of
    from .views import zone

    started = hub._start_future

    async def run() -> None:
        await asyncio.shield(started)
        spawners = hub.config.FederatedSpawner
        broker = broker_of(spawners.broker_url, spawners.broker_token_file)
        token = make_secret(home / "secrets" / "rejoin.token")
        api = f"http://127.0.0.1:{ports.hub}{hub.hub.base_url}api"
        cancels = cancels_of(spawners.cancel_folder)
        hub.scnet_zone = asyncio.ensure_future(zone.learn(hub.template_vars, broker))
        await rejoin.Rejoin(hub.users, broker, cancels, hub_api=api, token=token, patience=rejoin.PATIENCE).run(
            rejoin.EVERY
        )

    hub.scnet_rejoin = asyncio.ensure_future(run())


def _pages(c: Any) -> None:
    from .views.start_form import TEMPLATES

    c.JupyterHub.template_paths = [str(TEMPLATES)]
