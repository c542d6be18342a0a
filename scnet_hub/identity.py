"""(person, centre) → the account at the centre. One shared account for now, as the embedded centre has: a person gets a
folder of their own there, not a uid. Said so on the login page of the demo.
"""

from __future__ import annotations

import hashlib
import re


def account(person: str) -> str:
    """A name that is safe as one path segment and different for different people ("Ada/x" → "=41da=2fx")."""
    safe = re.sub(rb"[^a-z0-9_.-]", lambda match: b"=%02x" % ord(match[0]), person.encode())
    if safe.startswith(b"."):
        safe = b"=2e" + safe[1:]
    name = safe.decode()
    return name if len(name) <= 200 else f"{name[:160]}={hashlib.sha256(person.encode()).hexdigest()[:32]}"
