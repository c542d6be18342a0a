"""Draws the random values of a session: its id, and the nonce by which each copy proves itself."""

from __future__ import annotations

import secrets

from ..domain.sessions.names import ALPHABET, hashed


def new_id() -> str:
    """Returns twelve characters without look-alikes: 60 bits, so that a job's name is unique for ever."""
    return "".join(secrets.choice(ALPHABET) for _ in range(12))


def new_nonce() -> tuple[str, str]:
    """Returns a nonce for the job and its hash for the database."""
    nonce = secrets.token_urlsafe(24)
    return nonce, hashed(nonce)
