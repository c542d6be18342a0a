"""One centre's life: started as PID 1 of its own namespaces, entered, ended.

A centre is recorded as (pid, start time, pid namespace): a number that the machine has given to another process since
is never touched. Knows processes; what the centre is connected to is `network`'s.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from . import keys, network
from .kinds import KINDS
from .layout import Centre, Place

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INSIDE = Path(__file__).with_name("inside")
UP_WITHIN = 90.0  # seconds; 8 to 15 are usual

_outer: dict[Path, subprocess.Popen[bytes]] = {}  # the `unshare` that we started and must reap


class NotUp(Exception):
    """A centre that should stand doesn't."""


def start(centre: Centre, place: Place, folder: Path) -> None:
    """Brings the centre up, nodes and all; returns when its scheduler says that every node is usable."""
    end(centre, place)
    network.connect(centre, place)
    share = _share(centre, place)
    share.mkdir(parents=True, mode=0o700)
    shutil.copytree(INSIDE, share / "inside")
    keys.host(folder, centre)
    shutil.copy(folder / f"testbed/{centre.id}_host_key", share / "host_key")
    if centre.identity == "service":
        shutil.copy(keys.service(folder, centre), share / "service.pub")
    else:
        shutil.copy(folder / "secrets/ssh_ca.pub", share / "ca.pub")
    namespace = f"--net=/run/netns/{centre.namespace(place)}"
    command = [
        "nsenter",
        namespace,
        "unshare",
        "-m",
        "-u",
        "-i",
        "-p",
        "-f",
        "--kill-child",
        "--",
        str(share / "inside/centre.sh"),
    ]
    with (share / "log").open("wb") as log:
        _outer[share] = subprocess.Popen(
            command,
            env=_environment(centre, place),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _wait(centre, share, lambda: _recorded(share))
    _wait(centre, share, (share / "ready").exists)
    for node in centre.nodes:
        start_node(centre, place, node)
    usable = KINDS[centre.kind].usable
    _wait(centre, share, lambda: at(centre, place, usable, timeout=20).returncode == 0)


def start_node(centre: Centre, place: Place, node: str) -> None:
    command = [word.replace("{node}", node) for word in KINDS[centre.kind].start_node]
    at(centre, place, command, node=node, check=True)


def alive(centre: Centre, place: Place) -> bool:
    share = _share(centre, place)
    return _pid(share) is not None and (share / "ready").exists()


def end(centre: Centre, place: Place) -> None:
    """The centre's processes, network and records. Harmless if it isn't up."""
    share = _share(centre, place)
    pid = _pid(share)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
        _gone(pid)
    if outer := _outer.pop(share, None):
        outer.kill()  # it ends with its child; if it never had one, now
        outer.wait(timeout=10)
    network.disconnect(centre, place)
    shutil.rmtree(share, ignore_errors=True)


def at(
    centre: Centre,
    place: Place,
    argv: Sequence[str],
    *,
    node: str = "",
    account: str = "",
    stdin: str | None = None,
    timeout: float = 60,
    check: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Runs `argv` on the login node or a compute node, as root or as `account`. Raises NotUp, or TimeoutExpired."""
    command = [*enter(centre, place, node), *_become(account), *argv]
    return subprocess.run(
        command,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=check,
    )


def enter(centre: Centre, place: Place, node: str = "") -> list[str]:
    """The words to put before a command that shall run there as root."""
    pid = _pid(_share(centre, place))
    if pid is None:
        raise NotUp(f"Centre {centre.id} is not up.")
    into = ["nsenter", f"--net=/run/netns/{centre.namespace(place, node)}", "-t", str(pid), "-m", "-u", "-i", "-p"]
    name = ["unshare", "-u", "sh", "-c", 'hostname "$0"; exec "$@"', node] if node else []
    clean = [
        "env",
        "-i",
        f"PATH={PATH}",
        "HOME=/root",
        "LANG=C.UTF-8",
        *(f"{k}={v}" for k, v in KINDS[centre.kind].environment.items()),
    ]
    return [*into, *clean, *name]


def bind(centre: Centre, place: Place, host: Path, inside: str) -> None:
    """Shows a folder of the machine at the centre, read-only; what was shown there before goes."""
    at(
        centre,
        place,
        ["sh", "-c", 'mkdir -p "$0"; while mountpoint -q "$0"; do umount -l "$0"; done', inside],
        check=True,
    )
    pid = _pid(_share(centre, place))
    mounting = [
        sys.executable,
        "-S",
        str(Path(__file__).with_name("mounting.py")),
        str(host.resolve(strict=True)),
        str(pid),
        inside,
    ]
    subprocess.run(mounting, check=True, timeout=30, capture_output=True, text=True)


def signal_all(centre: Centre, place: Place, number: signal.Signals) -> None:
    """To every process of the centre, from outside: it may be frozen itself."""
    pid = _pid(_share(centre, place))
    if pid is None:
        raise NotUp(f"Centre {centre.id} is not up.")
    for other in _in_namespace(_namespace(pid)):
        try:
            os.kill(other, number)
        except ProcessLookupError:
            pass  # ended meanwhile


def _share(centre: Centre, place: Place) -> Path:
    return place.records / centre.id


def _environment(centre: Centre, place: Place) -> dict[str, str]:
    kind, lan = KINDS[centre.kind], centre.lan(place)
    hosts = {"127.0.0.1": "localhost", place.hub: "hub", f"{lan}.254": centre.login}
    hosts |= {f"{lan}.{number}": node for number, node in enumerate(centre.nodes, 1)}
    return {
        "PATH": PATH,
        "LANG": "C.UTF-8",
        "SHARE": str(_share(centre, place)),
        "LOGIN": centre.login,
        "NODES": " ".join(centre.nodes),
        "HOSTS": "\n".join(f"{address} {name}" for address, name in hosts.items()),
        "ACCOUNTS": " ".join(f"{account}:{uid}" for account, uid in centre.uids.items()),
        "PEOPLE": ",".join(centre.people.values()),
        "IDENTITY": centre.identity,
        "ZONE": centre.zone,
        "KIND": centre.kind,
        "CLIENT": kind.client,
        "CLUSTER": centre.name.split()[0].lower(),
        "CORES": str(centre.cores),
        "MEMORY": str(centre.memory),
        "GPUS": str(centre.gpus),
        "GPU_MODEL": centre.gpu_model,
        "MORE_SLURM_CONF": centre.slurm_conf,
        "MORE_SLURMDBD_CONF": centre.slurmdbd_conf,
        "ADMIN_LEVEL": centre.admin_level,
    }


def _become(account: str) -> list[str]:
    if not account:
        return []
    home = f"/home/{account}"
    return [
        "runuser",
        "-u",
        account,
        "--",
        "env",
        "-C",
        home,
        f"HOME={home}",
        f"PWD={home}",
        f"USER={account}",
        f"LOGNAME={account}",
    ]


def _wait(centre: Centre, share: Path, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + UP_WITHIN
    while not done():
        outer = _outer[share]
        if outer.poll() is not None or time.monotonic() > deadline:
            state = "did not come up in time" if outer.poll() is None else f"ended ({outer.returncode})"
            raise NotUp(f"Centre {centre.id} {state}:\n{_tail(share / 'log')}")
        time.sleep(0.1)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-8:])


def _recorded(share: Path) -> bool:
    """Once the centre has said its number."""
    try:
        pid = int((share / "pid").read_text())
        life = json.dumps({"pid": pid, "started": _started(pid), "namespace": _namespace(pid)})
    except (OSError, ValueError):
        return False
    (share / "life.json").write_text(life)
    return True


def _pid(share: Path) -> int | None:
    """The centre's PID 1 as seen from outside, if it is still that process."""
    try:
        life = json.loads((share / "life.json").read_text())
        same = _started(life["pid"]) == life["started"] and _namespace(life["pid"]) == life["namespace"]
    except (OSError, ValueError, KeyError):
        return None
    return int(life["pid"]) if same else None


def _started(pid: int) -> int:
    """Clock ticks from the machine's start to the process's."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def _namespace(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/ns/pid")


def _in_namespace(namespace: str) -> list[int]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if _namespace(int(pid)) == namespace:
                found.append(int(pid))
        except OSError:
            pass  # ended meanwhile
    return found


def _gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while _state(pid) not in ("", "Z") and time.monotonic() < deadline:
        time.sleep(0.02)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
