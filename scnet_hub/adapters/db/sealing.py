"""Reads and writes the database's secrets as they are stored, encrypted or not, in order to encrypt all of them
again.
"""

from __future__ import annotations

import json

from sqlalchemy import JSON, Text, cast, column, func, table
from sqlalchemy import Connection as Tx

from .keys import Keys

_sessions = table("scnet_sessions", column("id"), column("payload", JSON))
_copies = table("scnet_copies", column("session"), column("number"), column("secret", Text))


def seal_all(tx: Tx, keys: Keys) -> bool:
    """Encrypts secrets that are not under the first key yet. Returns whether any secret was in plain text."""
    plain = False
    written = func.length(cast(_sessions.c.payload, Text)) > len("{}")  # the payload is emptied when a session ends
    for row in tx.execute(_sessions.select().where(written)).all():
        if isinstance(row.payload, str) and keys.newest(row.payload):
            continue
        plain = plain or not isinstance(row.payload, str)
        text = keys.open(row.payload) if isinstance(row.payload, str) else json.dumps(row.payload)
        tx.execute(_sessions.update().where(_sessions.c.id == row.id).values(payload=keys.seal(text)))
    for row in tx.execute(_copies.select().where(_copies.c.secret != "")).all():
        if keys.newest(row.secret):
            continue
        text = keys.open(row.secret)
        plain = plain or text == row.secret
        which = (_copies.c.session == row.session, _copies.c.number == row.number)
        tx.execute(_copies.update().where(*which).values(secret=keys.seal(text)))
    return plain
