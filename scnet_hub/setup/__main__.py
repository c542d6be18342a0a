"""`python -m scnet_hub.setup`: run from the checkout, by any Python 3.11 or newer; or by the Python of an environment
that the package is installed in.

Of a checkout it makes the whole environment; of an installed package, which has one already, only the proxy.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from .environment import Environment
from .proxy import Proxy
from .steps import Failed, Step, alone, run_steps
from .tools import Tools

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> int:
    asked = options(arguments)
    place, parts = chosen(asked)
    if asked.check:
        missing = [part.title for part in parts if not part.done()]
        print("\n".join(f"to do: {title}" for title in missing) or "nothing to do")
        return 1 if missing else 0
    began = time.monotonic()
    try:
        with alone(place):
            ran = run_steps(parts)
    except Failed as error:
        print(f"\nSet-up stopped: {error}", file=sys.stderr)
        return 1
    if ran:
        print(f"Set up in {time.monotonic() - began:.1f} s.", flush=True)
    return 0


def options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scnet_hub.setup", description="Set up what SCNet Hub needs.")
    parser.add_argument("--check", action="store_true", help="only say what is missing; exit code 1 if something is")
    parser.add_argument("--proxy", action="store_true", help="only the proxy, in the environment of this Python")
    parser.add_argument("--tools", action="store_true", help="also what checks and tests the JavaScript (checkout)")
    asked = parser.parse_args(arguments)
    if asked.tools and (asked.proxy or not in_checkout()):
        parser.error("--tools needs a checkout, and goes without --proxy")
    return asked


def in_checkout() -> bool:
    return (ROOT / "requirements.lock").exists()


def chosen(asked: argparse.Namespace) -> tuple[Path, tuple[Step, ...]]:
    """Returns the folder that is locked meanwhile, and the parts to make, in order."""
    if asked.proxy or not in_checkout():
        prefix = Path(sys.prefix)
        return prefix, (Proxy(prefix),)
    environment = Environment(ROOT)
    parts: tuple[Step, ...] = (environment, Proxy(environment.folder))
    return ROOT, (*parts, Tools(environment)) if asked.tools else parts


sys.exit(main(sys.argv[1:]))
