"""The demo's state folder: ports, secrets, people, the federation's page and its centres' pages. Made once, and
reused.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..adapters.secret_files import make_secret, write_secret
from ..domain.addresses import Address
from ..errors import ScnetError
from ..hub.authenticator import make_people
from ..hub.ports import Ports

PEOPLE = ("ada", "grace", "admin")
FEDERATION = """\
# The demo's federation. A change takes effect at the broker's next start.
name = "SCNet Hub demo"
centres = [{centres}]

[[project]]
id = "climate"
title = "Climate extremes"
members = ["ada", "grace"]
grants = {{ "first" = 500 }}
quota = {{ sessions = 12, cores = 24, gpus = 2 }}

[[project]]
id = "materials"
title = "Battery materials"
members = ["grace", "admin"]
grants = {{ "first" = 100 }}
quota = {{ sessions = 4, cores = 8, gpus = 1 }}

[[profile]]
id = "small"
title = "Small"
description = "Write, look at data, first steps."
cores = 1
memory = "2G"
walltime = "1h"

[[profile]]
id = "medium"
title = "Medium"
description = "Data frames and Dask on a few cores."
cores = 2
memory = "4G"
walltime = "2h"

[[profile]]
id = "large"
title = "Large"
description = "All cores of a smaller node."
cores = 4
memory = "8G"
walltime = "2h"

[[profile]]
id = "gpu"
title = "GPU"
description = "One GPU for prototyping a model."
cores = 2
memory = "8G"
gpus = 1
walltime = "1h"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where the demo lives, its ports, and the passwords made just now (shown once, stored only as hashes)."""

    home: Path
    ports: Ports
    passwords: dict[str, str]

    @property
    def public_url(self) -> str:
        """Returns the address that a person opens, without the last "/"."""
        return self.ports.address.root

    @property
    def api_url(self) -> str:
        return self.ports.address.api

    @property
    def nearby(self) -> Address:
        """Returns the same paths at the proxy itself, whatever is in front of it."""
        return self.ports.address.at(self.ports.proxy_url)


def prepare(
    home: Path, *, port: int = 0, host: str = "", url: str = "", subdomains: bool = False, centres: Iterable[str]
) -> State:
    """Prepares the state folder with everything except the centres; keeps what exists. `port` 0: any port, then kept;
    `host` and `url` "": as last time, at first 127.0.0.1 and the address from host and port. Raises SpecError for an
    invalid `url`."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.chmod(home, 0o700)
    ports = choose_ports(home, port, host, url, subdomains)
    for name in ("hub", "operator", "proxy"):
        make_secret(home / "secrets" / f"{name}.token")
    passwords = make_people(home / "people.json", list(PEOPLE))
    page = home / "federation.toml"
    if not page.exists():
        page.write_text(FEDERATION.format(centres=", ".join(f'"centres/{name}.toml"' for name in centres)))
    state = State(home=home, ports=ports, passwords=passwords)
    write_secret(home / "broker.json", json.dumps(broker_settings(state), indent=1))
    write_secret(
        home / "client.json",
        json.dumps({"url": state.api_url, "token": make_secret(home / "secrets" / "operator.token")}),
    )
    return state


def broker_settings(state: State) -> dict[str, object]:
    return {
        "federation": str(state.home / "federation.toml"),
        "database": f"sqlite:///{state.home / 'broker.sqlite'}",
        "hub_api": state.ports.address.at(f"http://127.0.0.1:{state.ports.hub}").hub_api,
        "token_file": str(state.home / "secrets" / "hub.token"),
        "public_url": str(state.ports.address),
        "proxy_url": state.ports.proxy_url,
        "folder": str(state.home),
        "port": state.ports.broker,
    }


def choose_ports(home: Path, public: int, host: str = "", url: str = "", subdomains: bool = False) -> Ports:
    """Chooses the ports of last time if they are still free, else free ports; stores the choice. Raises SpecError."""
    kept = Ports.read(home)
    host = host or kept.host
    said = replace(
        kept, host=host, url=str(Address.parse(url)) if url else kept.url, subdomains=subdomains or kept.subdomains
    )
    wanted = {"public": public or Ports().public, "hub": kept.hub, "proxy_api": kept.proxy_api, "broker": kept.broker}
    chosen: dict[str, int] = {}
    for name, number in wanted.items():
        if not free(number, host if name == "public" else "127.0.0.1"):
            if name == "public" and public:
                raise ScnetError(
                    f"Port {public} is in use.", hint="Choose another with --port, or leave it out.", code="port-taken"
                )
            number = some_free_port(chosen.values())
        chosen[name] = number
    ports = replace(
        said, public=chosen["public"], hub=chosen["hub"], proxy_api=chosen["proxy_api"], broker=chosen["broker"]
    )
    ports.check()
    (home / "ports.json").write_text(json.dumps(asdict(ports)))
    return ports


def free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def some_free_port(taken: Iterable[int]) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in taken:
            return port
