"""`python -m tests.real.testbed up|down|at|fault|list`: the testbed by hand."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from . import faults, life, needs
from .layout import CENTRES, HERE, state_folder
from .testbed import ALL, down, running, up


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.real.testbed", description="Four real member centres on this machine."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    rise = commands.add_parser("up", help="bring the centres up; safe to repeat")
    rise.add_argument("centres", nargs="?", default=ALL, help="which, for example abd (default: all)")
    rise.add_argument(
        "--folder",
        type=Path,
        default=state_folder(),
        help="where pages and keys go (SCNET_TESTBED; default: %(default)s)",
    )
    rise.add_argument(
        "--bind", action="append", default=[], metavar="HOST:INSIDE", help="show a folder at each centre, read-only"
    )
    rise.add_argument("--ca", type=Path, help="public key of the CA to trust (default: a pair of the testbed's own)")
    commands.add_parser("down", help="end them, and what a killed run left")
    visit = commands.add_parser("at", help="run a command as root: at a squeue, at a/a1 hostname")
    visit.add_argument("where")
    visit.add_argument("argv", nargs=argparse.REMAINDER)
    harm = commands.add_parser("fault", help="break or mend: fault b net-down")
    harm.add_argument("centre", choices=CENTRES)
    harm.add_argument("name", choices=faults.FAULTS, metavar="name", help=", ".join(faults.FAULTS))
    harm.add_argument("node", nargs="?", default="", help="which node; the rate of slow; the account of home-full")
    commands.add_parser("list", help="what is up, and where")
    arguments = parser.parse_args()
    try:
        return {"up": _up, "down": _down, "at": _at, "fault": _fault, "list": _list}[arguments.command](arguments)
    except (life.NotUp, RuntimeError, ValueError) as error:
        sys.exit(str(error))


def _up(arguments: argparse.Namespace) -> int:
    lacking = {centre: why for centre in arguments.centres if (why := needs.missing(centre))}
    if lacking:
        words = "; ".join(f"{centre}: {why}" for centre, why in lacking.items())
        sys.exit(f"{words}.\nAs root, on Debian: {needs.install_line(arguments.centres)}")
    began = time.monotonic()
    binds = {inside: Path(host) for host, _, inside in (bind.partition(":") for bind in arguments.bind)}
    testbed = up(arguments.folder, centres=arguments.centres, binds=binds, ca=arguments.ca)
    print(f"Up in {time.monotonic() - began:.1f} s, with pages and keys in {testbed.folder}")
    return _list(arguments)


def _down(arguments: argparse.Namespace) -> int:
    down()
    return 0


def _at(arguments: argparse.Namespace) -> int:
    centre, _, node = arguments.where.partition("/")
    command = [*life.enter(CENTRES[centre], HERE, node), *(arguments.argv or ["bash"])]
    os.execvp(command[0], command)


def _fault(arguments: argparse.Namespace) -> int:
    faults.FAULTS[arguments.name](CENTRES[arguments.centre], HERE, arguments.node)
    return 0


def _list(arguments: argparse.Namespace) -> int:
    testbed = running()
    for centre in CENTRES.values():
        state = f"up, login {centre.wan(HERE)}" if testbed and centre.id in testbed.centres else "down"
        people = ", ".join(f"{person} is {account}" for person, account in centre.people.items())
        print(f"{centre.id}  {centre.kind:10} {state:24} nodes {' '.join(centre.nodes)}; {people}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
