"""Determines the account of the daemon, and thus of every job."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd

from .formatting import Owner


def owner_here() -> Owner:
    user, group = str(os.getuid()), str(os.getgid())
    with contextlib.suppress(KeyError):
        user = pwd.getpwuid(os.getuid()).pw_name
    with contextlib.suppress(KeyError):
        group = grp.getgrgid(os.getgid()).gr_name
    return Owner(user, os.getuid(), group, os.getgid())
