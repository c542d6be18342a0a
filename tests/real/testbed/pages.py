"""Each centre's `centre.toml`, as its admin would write it, for a state folder of a broker.

Knows the form of the page; what stands at the centre is `layout`'s.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from . import keys
from .layout import SERVICE, Centre, Place

SGE_ROOT = "/var/lib/gridengine"


def write(
    folder: Path, centre: Centre, place: Place, *, watch: tuple[float, float] = (30, 10), listen_port: int = 18000
) -> Path:
    path = folder / f"centres/{centre.id}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(centre, place, keys.pinned(folder, centre), watch=watch, listen_port=listen_port))
    return path


def copy(source: Path, folder: Path) -> None:
    """The keys of a testbed's state folder, for another broker's."""
    for part in ("secrets", "testbed"):
        shutil.copytree(source / part, folder / part, dirs_exist_ok=True)
    (folder / "secrets").chmod(0o700)


def page(centre: Centre, place: Place, host_key: str, *, watch: tuple[float, float], listen_port: int) -> str:
    contact = f"hpc@{centre.name.split()[0].lower()}.example"
    host = {"hosts": [centre.wan(place)], "port": 22, "user": SERVICE, "host_keys": [host_key]}
    hardware = {
        "cores": centre.cores,
        "memory": f"{centre.memory}M",
        "gpus": centre.gpus,
        "gpu_model": centre.gpu_model,
    }
    tariff = {"core_hour": centre.core_hour, "gpu_hour": centre.gpu_hour}
    tables = [
        _table(
            "", id=centre.id, name=centre.name, organisation=centre.organisation, contact=contact, dialect=centre.kind
        ),
        _table("[transport]", kind="ssh", **host, **_by_kind(centre)),
        _table("[identity]", mode=centre.identity, accounts=centre.people),
        _table("[network]", **_network(centre, place, listen_port)),
        _table(
            "[session]",
            python="/opt/scnet/session/bin/python",
            directory="/home/{account}/.scnet",
            home="/home/{account}",
        ),
        _table("[watch]", interval=watch[0], busy_interval=watch[1]),
        _table(
            "[[partition]]",
            name=centre.partition,
            nodes=len(centre.nodes),
            **hardware,
            max_walltime="24h",
            tariff=tariff,
        ),
    ]
    return "\n".join(tables)


def _by_kind(centre: Centre) -> dict[str, object]:
    key = {"key_file": f"secrets/ssh_{centre.id}"} if centre.identity == "service" else {}
    environment = {"environment": {"SGE_ROOT": SGE_ROOT}} if centre.kind == "gridengine" else {}
    return {**key, **environment}


def _network(centre: Centre, place: Place, listen_port: int) -> dict[str, object]:
    nodes = {"nodes": [f"{centre.lan(place)}.0/24"]}
    if centre.routed:
        return {"sessions": "direct", "hub": "direct", **nodes}
    return {
        "sessions": "forward",
        "hub": "forward",
        "listen": f"{centre.lan(place)}.254",
        "listen_port": listen_port,
        **nodes,
    }


def _table(head: str, **values: object) -> str:
    return "".join(
        f"{line}\n"
        for line in (*([head] if head else []), *(f"{key} = {_value(value)}" for key, value in values.items()))
    )


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)
