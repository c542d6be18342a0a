"""`python -m scnet_hub.demo.embedded serve --home DIR`: the daemon of the centre whose `centre.json` is in DIR.

`... ask --home DIR background fill` asks the daemon one question and prints the answer.
"""

from __future__ import annotations

import sys
from pathlib import Path

USAGE = "usage: python -m scnet_hub.demo.embedded (serve --home DIR | ask --home DIR COMMAND [ARGUMENT...])"


def main(argv: list[str]) -> int:
    match argv:
        case ["serve", "--home", home]:
            from .daemon import run
            from .settings import read_settings

            return run(Path(home).resolve(), read_settings(Path(home)))
        case ["ask", "--home", home, *words] if words:
            from . import client
            from .settings import socket_path

            return client.main(str(socket_path(Path(home))), words)
    print(USAGE, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
