"""The faults of a centre, by name: `FAULTS[name]` breaks, `FAULTS[opposite]` repairs.

Every fault has its opposite in `OPPOSITES`, except a dead centre: `up` makes a new one, with job ids from 1 again.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable

from . import life, network
from .kinds import KINDS
from .layout import Centre, Place

Fault = Callable[[Centre, Place, str], None]  # the string: a node, or a rate
SSHD = "/run/sshd.pid"
LISTENS = (
    f"for _ in $(seq 100); do [ -s {SSHD} ] && exit; sleep 0.05; done; exit 1"  # sshd writes its number when it listens
)
RATE = "256kbit"
HELD = "/run/held"

OPPOSITES = {
    "ctl-kill": "ctl-start",
    "ctl-hang": "ctl-unhang",
    "dbd-kill": "dbd-start",
    "db-kill": "db-start",
    "munge-kill": "munge-start",
    "sshd-kill": "sshd-start",
    "sshd-hang": "sshd-unhang",
    "forwarding-off": "forwarding-on",
    "mfa-on": "mfa-off",
    "chatty": "quiet",
    "curious": "content",
    "net-down": "net-up",
    "slow": "fast",
    "freeze": "thaw",
    "node-kill": "node-start",
    "node-cut": "node-join",
    "drain": "resume",
    "partition-down": "partition-up",
    "partition-inactive": "partition-up",
    "submit-hold": "submit-go",
    "home-full": "home-free",
}


def _run(*command: str) -> Fault:
    return lambda centre, place, node: _there(centre, place, *command)


def _signal(name: str, pid_file: str) -> Fault:
    return lambda centre, place, node: _kill(centre, place, name, pid_file.replace("{node}", node))


def _door(words: str) -> Fault:
    """What sshd's configuration says before all else."""
    script = (
        f'printf "%s\\n" "$0" >/etc/ssh/sshd_config.d/fault.conf && pid=$(cat {SSHD}) && rm {SSHD} && kill -s '
        f'HUP "$pid"; {LISTENS}'
    )
    return _run("sh", "-c", script, words)


def _shells(words: str) -> Fault:
    """What every shell started by sshd does first."""
    script = 'sed -i \'/# fault$/d\' /etc/bash.bashrc; [ -z "$0" ] || sed -i "1i $0 # fault" /etc/bash.bashrc'
    return _run("sh", "-c", script, words)


def _controller(name: str) -> Fault:
    """To its process group: OAR's server is several processes."""
    script = 'group=$(cut -d " " -f 5 "/proc/$(cat "$1")/stat") && kill -s "$0" -- "-$group"'
    return lambda centre, place, node: _there(
        centre, place, "bash", "-c", script, name, KINDS[centre.kind].controller_pid
    )


def _start_controller(centre: Centre, place: Place, node: str) -> None:
    _there(centre, place, *KINDS[centre.kind].controller)


def _start_node(centre: Centre, place: Place, node: str) -> None:
    life.start_node(centre, place, _known(centre, node))


def _kill_node(centre: Centre, place: Place, node: str) -> None:
    _kill(centre, place, "KILL", KINDS[centre.kind].node_pid.replace("{node}", _known(centre, node)))


def _drain(centre: Centre, place: Place, node: str) -> None:
    _there(centre, place, *(word.replace("{node}", _known(centre, node)) for word in KINDS[centre.kind].drain))


def _resume(centre: Centre, place: Place, node: str) -> None:
    _there(centre, place, *(word.replace("{node}", _known(centre, node)) for word in KINDS[centre.kind].resume))


def _partition(state: str) -> Fault:
    """What its admin says of the partition or queue that the page offers."""

    def said(centre: Centre, place: Place, node: str) -> None:
        words = KINDS[centre.kind].partition.get(state)
        if words is None:
            raise ValueError(f"centre {centre.id} ({centre.kind}) knows no partition that is {state}.")
        _there(centre, place, *(word.replace("{partition}", centre.partition) for word in words))

    return said


def _hold_submits(centre: Centre, place: Place, node: str) -> None:
    """Whoever submits waits in a wrapper of the centre's own, as on a login node that is busy: `HELD` has a file for
    each."""
    program = KINDS[centre.kind].submit
    lines = f'#!/bin/sh\n: >"{HELD}/$$"\nwhile [ -d {HELD} ]; do sleep 0.05; done\nexec /usr/bin/{program} "$@"\n'
    script = 'mkdir -p -m 1777 "$0" && printf "%s" "$1" >"$2" && chmod 755 "$2"'
    _there(centre, place, "sh", "-c", script, HELD, lines, f"/usr/local/bin/{program}")


def _let_submits_go(centre: Centre, place: Place, node: str) -> None:
    _there(centre, place, "rm", "-rf", f"/usr/local/bin/{KINDS[centre.kind].submit}", HELD)


def _slow(centre: Centre, place: Place, rate: str) -> None:
    """Both directions. Many kernels lack netem, so there is no latency or loss to be had."""
    shape = ["root", "tbf", "rate", rate or RATE, "burst", "16k", "latency", "400ms"]
    for tc, link in _ends(centre, place):
        subprocess.run([*tc, "qdisc", "replace", "dev", link, *shape], check=True, capture_output=True, timeout=30)


def _fast(centre: Centre, place: Place, node: str) -> None:
    for tc, link in _ends(centre, place):
        subprocess.run([*tc, "qdisc", "del", "dev", link, "root"], capture_output=True, timeout=30)


def _ends(centre: Centre, place: Place) -> list[tuple[list[str], str]]:
    outside = centre.namespace(place)
    return [(["tc"], outside), (["tc", "-n", outside], "wan")]


def _home_full(centre: Centre, place: Place, account: str) -> None:
    """A home that takes no more than 64 KiB, as if the quota were used up."""
    uid, home = str(centre.uids[account]), f"/home/{account}"
    _there(centre, place, "mount", "-t", "tmpfs", "-o", f"size=64k,mode=700,uid={uid},gid={uid}", "home", home)
    _there(centre, place, "sh", "-c", 'head -c 65536 /dev/zero >"$0"', f"{home}/results")


def _there(centre: Centre, place: Place, *command: str) -> None:
    done = life.at(centre, place, command)
    if done.returncode:
        raise RuntimeError(f"{centre.id}: {' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")


def _kill(centre: Centre, place: Place, name: str, pid_file: str) -> None:
    _there(centre, place, "sh", "-c", 'kill -s "$0" "$(cat "$1")"', name, pid_file)


def _known(centre: Centre, node: str) -> str:
    if node not in centre.nodes:
        raise ValueError(f"{node!r} is no node of centre {centre.id}: {', '.join(centre.nodes)}")
    return node


FAULTS: dict[str, Fault] = {
    "ctl-kill": _controller("KILL"),  # the scheduler is gone: connection refused
    "ctl-start": _start_controller,
    "ctl-hang": _controller("STOP"),  # it accepts connections and never answers
    "ctl-unhang": _controller("CONT"),
    "dbd-kill": _signal("KILL", "/run/slurm/slurmdbd.pid"),  # no accounting
    "dbd-start": _run("su", "-s", "/bin/sh", "slurm", "-c", "slurmdbd"),
    "db-kill": _run(
        "pg_ctlcluster", "--skip-systemctl-redirect", "-m", "immediate", "15", "main", "stop"
    ),  # OAR's database
    "db-start": _run("pg_ctlcluster", "--skip-systemctl-redirect", "15", "main", "start"),
    "munge-kill": _signal("KILL", "/run/munge/munged.pid"),  # each Slurm command hangs for 49 s
    "munge-start": _run("su", "-s", "/bin/sh", "munge", "-c", "munged --force"),
    "sshd-kill": _signal("KILL", SSHD),
    "sshd-start": _run("sh", "-c", f"rm -f {SSHD}; /usr/sbin/sshd && {LISTENS}"),
    "sshd-hang": _signal("STOP", SSHD),  # TCP connects, no banner
    "sshd-unhang": _signal("CONT", SSHD),
    "forwarding-off": _door("DisableForwarding yes"),
    "forwarding-on": _door(""),
    "mfa-on": _door(
        "AuthenticationMethods publickey,password\nPasswordAuthentication yes"
    ),  # the key is not enough: it asks for more
    "mfa-off": _door(""),
    "chatty": _shells("echo 'Welcome to the centre!'; echo 'Maintenance on Monday.' >&2"),  # every login shell talks
    "quiet": _shells(""),
    "curious": _shells("read -r -p 'Do you accept the terms? ' answer"),  # every login shell reads a line
    "content": _shells(""),
    "net-down": lambda centre, place, node: network.unplug(
        centre.namespace(place)
    ),  # the whole site is off the internet
    "net-up": lambda centre, place, node: network.plug(centre.namespace(place)),
    "slow": _slow,
    "fast": _fast,
    "freeze": lambda centre, place, node: life.signal_all(
        centre, place, signal.SIGSTOP
    ),  # login node and nodes; TCP stays up
    "thaw": lambda centre, place, node: life.signal_all(centre, place, signal.SIGCONT),
    "node-kill": _kill_node,  # its daemon; the jobs' processes live on
    "node-start": _start_node,
    "node-cut": lambda centre, place, node: network.unplug(
        _known(centre, node), within=centre.namespace(place)
    ),  # the cable
    "node-join": lambda centre, place, node: network.plug(_known(centre, node), within=centre.namespace(place)),
    "drain": _drain,
    "resume": _resume,
    "partition-down": _partition("down"),  # takes jobs and starts none
    "partition-inactive": _partition("inactive"),  # Slurm: takes none
    "partition-up": _partition("up"),
    "submit-hold": _hold_submits,  # a submission takes until it is let go, whatever becomes of who asked for it
    "submit-go": _let_submits_go,
    "home-full": _home_full,
    "home-free": lambda centre, place, account: _there(centre, place, "umount", "-l", f"/home/{account}"),
    "dead": lambda centre, place, node: life.end(centre, place),  # state and all
}
