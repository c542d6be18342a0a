"""Sessions and copies of which a test names only the fields that it is about."""

from __future__ import annotations

from typing import Any

from scnet_hub.adapters.db.database import Tx
from scnet_hub.adapters.db.queries import sessions as session_rows
from scnet_hub.domain.sessions.records import Copy, Session, SessionCopy

OF_SESSION, OF_COPY = (frozenset(one.__dataclass_fields__) for one in (Session, Copy))
BOTH = OF_SESSION & OF_COPY  # such a field of the copy is given as `copy_state`, `copy_live`, ...


def split(**given: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of the session, and those of its copy."""
    unknown = {*given} - OF_SESSION - OF_COPY - {f"copy_{name}" for name in BOTH}
    assert not unknown, unknown
    own = {name: value for name, value in given.items() if name in OF_SESSION}
    return own, {name.removeprefix("copy_"): value for name, value in given.items() if name not in own}


def session_copy(**given: Any) -> SessionCopy:
    """A session with a copy; what is not given is None."""
    given = {"id": "s", "number": 1, "lead": 1} | given
    own, of_copy = split(**given)
    none: tuple[dict[str, Any], dict[str, Any]] = dict.fromkeys(OF_SESSION), dict.fromkeys(OF_COPY)
    return SessionCopy(Session(**none[0] | own), Copy(**none[1] | {"session": given["id"]} | of_copy))


def change(tx: Tx, session_id: str, number: int = 0, **given: Any) -> None:
    """Sets columns of a session and of its copy `number` (0: the leading copy)."""
    own, of_copy = split(**given)
    if own:
        session_rows.update(tx, session_id, **own)
    if of_copy:
        session_rows.update_copy(tx, session_id, number, **of_copy)
