"""`python -m scnet_hub.setup`: run from the checkout, by any Python 3.11 or newer.

`--tools` also installs what checks and tests the JavaScript; `--check` only says what is missing.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from .environment import Environment
from .proxy import Proxy
from .steps import Failed, Step, alone, run_steps
from .tools import Tools


def main(arguments: list[str]) -> int:
    root = Path(__file__).resolve().parents[2]
    environment = Environment(root)
    parts: tuple[Step, ...] = (
        environment,
        Proxy(environment),
        *([Tools(environment)] if "--tools" in arguments else []),
    )
    if "--check" in arguments:
        missing = [part.title for part in parts if not part.done()]
        print("\n".join(f"to do: {title}" for title in missing) or "nothing to do")
        return 1 if missing else 0
    began = time.monotonic()
    try:
        with alone(root):
            ran = run_steps(parts)
    except Failed as error:
        print(f"\nSet-up stopped: {error}", file=sys.stderr)
        return 1
    if ran:
        print(f"Set up in {time.monotonic() - began:.1f} s.", flush=True)
    return 0


sys.exit(main(sys.argv[1:]))
