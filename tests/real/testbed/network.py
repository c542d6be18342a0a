"""The testbed's network: a bridge for the internet between the centres, and a closed LAN behind each login node.

Centres reach the hub and not each other (their bridge ports are isolated); addresses of the testbed that nobody has are
unreachable, so that nothing leaks to the machine's own gateway. Knows links, addresses and routes; not what runs in the
namespaces.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable

from .layout import Centre, Place


def open_internet(place: Place) -> None:
    if not _exists(place.bridge):
        _ip(
            f"link add {place.bridge} type bridge",
            f"addr add {place.hub}/24 dev {place.bridge}",
            f"link set {place.bridge} up",
        )
    _ip(f"route replace unreachable {place.network}.0.0/16")


def close_internet(place: Place) -> None:
    for namespace in namespaces(place):
        _end(namespace)
    for link in _links(place):
        _ip(f"link del {link}")
    subprocess.run(["ip", "route", "del", "unreachable", f"{place.network}.0.0/16"], capture_output=True, timeout=30)


def connect(centre: Centre, place: Place) -> None:
    """The centre's namespaces and links. The hub's route to the nodes always exists: whether the login node forwards
    decides."""
    login, lan = centre.namespace(place), centre.lan(place)
    _ip(
        f"netns add {login}",
        *(f"netns add {centre.namespace(place, node)}" for node in centre.nodes),
        f"link add {login} type veth peer name wan netns {login}",
        f"link set {login} master {place.bridge} up",
        f"link set {login} type bridge_slave isolated on",
        f"route replace {lan}.0/24 via {centre.wan(place)}",
    )
    _ip(
        "link set lo up",
        f"addr add {centre.wan(place)}/24 dev wan",
        "link set wan up",
        "link add lan type bridge",
        f"addr add {lan}.254/24 dev lan",
        "link set lan up",
        *(f"link add {node} type veth peer name eth0 netns {centre.namespace(place, node)}" for node in centre.nodes),
        *(f"link set {node} master lan up" for node in centre.nodes),
        within=login,
    )
    for number, node in enumerate(centre.nodes, 1):
        _ip(
            "link set lo up",
            f"addr add {lan}.{number}/24 dev eth0",
            "link set eth0 up",
            f"route add default via {lan}.254",
            within=centre.namespace(place, node),
        )
    forward = f"echo {int(centre.routed)} >/proc/sys/net/ipv4/ip_forward"
    subprocess.run(["nsenter", f"--net=/run/netns/{login}", "sh", "-c", forward], check=True, timeout=30)


def disconnect(centre: Centre, place: Place) -> None:
    """Takes the centre off the machine, with whatever still runs in its network namespaces."""
    login = centre.namespace(place)
    if _exists(login):
        _ip(f"link del {login}")
    for namespace in namespaces(place):
        if namespace == login or namespace.startswith(f"{login}-"):
            _end(namespace)


def namespaces(place: Place) -> list[str]:
    names = (line.split()[0] for line in _ask("ip", "netns", "list").splitlines() if line)
    return sorted(name for name in names if name.startswith(f"{place.prefix}-"))


def processes(namespace: str) -> list[int]:
    return [int(pid) for pid in _ask("ip", "netns", "pids", namespace).split()]


def unplug(link: str, *, within: str = "") -> None:
    _ip(f"link set {link} down", within=within)


def plug(link: str, *, within: str = "") -> None:
    _ip(f"link set {link} up", within=within)


def _end(namespace: str) -> None:
    for pid in processes(namespace):
        subprocess.run(["kill", "-9", str(pid)], capture_output=True, timeout=30)
    _ip(f"netns del {namespace}")


def _links(place: Place) -> list[str]:
    names = [link["ifname"] for link in json.loads(_ask("ip", "-json", "link", "show") or "[]")]
    return [name for name in names if name.startswith(f"{place.prefix}-")]


def _exists(link: str) -> bool:
    return subprocess.run(["ip", "link", "show", link], capture_output=True, timeout=30).returncode == 0


def _ip(*lines: str, within: str = "") -> None:
    command = ["ip", *(["-n", within] if within else []), "-batch", "-"]
    done = subprocess.run(command, input=_text(lines), text=True, capture_output=True, timeout=60)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}\n{_text(lines)}")


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _ask(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
