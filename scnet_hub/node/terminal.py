"""The shell of a session's terminals: a shell that reads a login shell's files and still finds the session's commands.

A login shell's profile replaces PATH and loses `scnet`, the person's Python and an embedded centre's `squeue`. bash
reads `bashrc` beside this file, which restores them; other shells start without their profile.
"""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Mapping
from pathlib import Path

RC = Path(__file__).with_name("bashrc")
NO_SHELL = ("nologin", "false", "true", "sync")


def command(env: Mapping[str, str] = os.environ) -> list[str]:
    """Returns the argv of a terminal: $SHELL, else the account's shell, else bash or sh."""
    shell = next(filter(_usable, (env.get("SHELL", ""), _of_account(), "bash", "sh")), "sh")
    return [shell, "--rcfile", str(RC)] if Path(shell).name == "bash" else [shell]


def _usable(shell: str) -> bool:
    return bool(shell) and Path(shell).name not in NO_SHELL and shutil.which(shell) is not None


def _of_account() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_shell
    except KeyError:  # an account that only the centre's directory lists
        return ""
