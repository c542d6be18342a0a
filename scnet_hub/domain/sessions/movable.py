"""Decides, by what a request says, where a further copy of a session that does not start may be submitted.

A batch job's files travel with its request; a path of the centre's own file system in its command or its environment
does not. So a job that names such a path stays at its centre, unless its owner says otherwise (`second_chance`).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from .records import Session

ANYWHERE = ""
# the beginning of a path that is not the same at all centres: in the home, relative upwards, or absolute outside the
# system's own folders; and the variables that sites set to such paths
_START = r"""(?:^|[\s=:,;'"<>|&(])(?:-\w)?"""
_PATH = re.compile(
    rf"{_START}(?:~|\.\.(?:/|$)|/(?!/|(?:bin|dev|proc|tmp|usr)(?:/|\b)))|\$\{{?(?:HOME|SCRATCH|WORK|PROJECT|DATA)\b"
)


def where(session: Session, centre: str) -> str | None:
    """Returns the only centre for a further copy of a session whose first copy is at `centre`: ANYWHERE if every centre
    will do, None if the session gets no further copy."""
    wish = session.request.get("second_chance", "auto")
    if wish == "no":
        return None
    if wish == "yes":
        return ANYWHERE
    if session.request["centre"]:
        return str(session.request["centre"])
    return centre if session.kind == "batch" and names_files(session.payload) else ANYWHERE


def names_files(payload: Mapping[str, Any]) -> bool:
    """Tells whether a job's command, its environment or a file sent along names a path of a centre's own file
    system."""
    files = (base64.b64decode(data).decode(errors="replace") for data in payload.get("files", {}).values())
    words = (*payload.get("argv", ()), *payload.get("env", {}).values(), *files)
    return any(_PATH.search(word) for word in words)
