"""LocalAuthenticator: generated passwords, one per person, kept as scrypt hashes in a 0600 file. For demos and laptops.

A person who is not in the file can't log in. A right name with a wrong password takes as long as a wrong name.
A federation uses OIDC instead (docs/how-to/oidc.md).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator
from tornado import web
from traitlets import Unicode, default

from ..adapters.secret_files import write_secret
from ..domain import identifiers
from .login_throttle import Logins, Wait, caller

COST = {"n": 2**14, "r": 8, "p": 1}
_WORDS = "abcdefghjkmnpqrstuvwxyz23456789"


class NotNow(web.HTTPError):
    """A login that was not checked. JupyterHub shows the sentence on its login page, and sends the headers with it."""

    def __init__(self, wait: Wait) -> None:
        super().__init__(wait.status, str(wait))
        self.headers = {"Retry-After": str(wait.seconds)}


def address_of(request: Any) -> str:
    """Returns the caller's IP address. Not `remote_ip`, which tornado takes from X-Real-Ip: our proxy passes that
    header on from anyone."""
    context = request.connection.context
    peer = context.address[0] if isinstance(context.address, tuple) else ""
    return caller(str(peer), request.headers.get("X-Forwarded-For", ""), context.trusted_downstream)


class OneName(Authenticator):
    """Brings user names into normal form (`identifiers.person`). Must be the first base of a class, before JupyterHub's
    authenticator."""

    def normalize_username(self, username: str) -> str:
        return identifiers.person(super().normalize_username(username))


class LocalAuthenticator(OneName):
    """Checks passwords against the hashes in `file`, which is read at each login, so a new person needs no restart."""

    file = Unicode(help="JSON file (0600) that maps names to salted scrypt hashes; `scnet demo` makes it.").tag(
        config=True
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.logins = Logins()

    @default("any_allow_config")
    def _the_file_allows(self) -> bool:
        return True

    async def authenticate(self, handler: Any, data: Any) -> str | None:
        """Returns the name if the password is right, else None. Raises HTTPError (429, 503) with a sentence if it was
        not checked."""
        name, password = str(data.get("username", ""))[:255], str(data.get("password", ""))[:1024]
        name = self.normalize_username(name)
        stored, address = self.people().get(name), address_of(handler.request) if handler else ""
        try:
            right = await self.logins.check(name, address, lambda: matches(stored, password))
        except Wait as wait:
            raise NotNow(wait) from wait
        return name if right else None

    def people(self) -> dict[str, str]:
        path = Path(self.file)
        if not path.exists():
            self.log.error("%s is missing, so logins are refused; `scnet demo` makes the file.", path)
            return {}
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            self.log.error("%s can be read by others, so logins are refused; set its mode to 600.", path)
            return {}
        return self._each_once(json.loads(path.read_text()))

    def _each_once(self, people: dict[str, str]) -> dict[str, str]:
        """Returns the hashes by normal form of the name. Leaves out a name with two spellings: it would have two
        passwords."""
        for name, spellings in identifiers.alike(people).items():
            self.log.error(
                "%s contains %s, which are the same person: %s can't log in until only one spelling is left.",
                self.file,
                ", ".join(spellings),
                name,
            )
            people = {spelt: stored for spelt, stored in people.items() if spelt not in spellings}
        return {identifiers.person(name): stored for name, stored in people.items()}

    def check_allowed(self, username: str, authentication: Any = None) -> bool:
        return identifiers.person(username) in self.people()


def hash_password(password: str) -> str:
    salt = os.urandom(16)
    return f"{salt.hex()}${hashlib.scrypt(password.encode(), salt=salt, **COST).hex()}"


def matches(stored: str | None, password: str) -> bool:
    """Checks `password` against the hash in `stored`; takes the same time for an unknown name (None)."""
    salt, _, digest = (stored or f"{'00' * 16}${'00' * 64}").partition("$")
    found = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), **COST).hex()
    return hmac.compare_digest(found, digest) and stored is not None


def make_people(path: Path, names: list[str]) -> dict[str, str]:
    """Adds the names that are missing in `path`. Returns the passwords of the new people, which are stored nowhere
    else, by name as given; stores names in their normal form."""
    people: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    known = {identifiers.person(name) for name in people}
    wanted = {identifiers.person(name): name for name in reversed(names)}  # the first of two spellings
    fresh = {name: new_password() for one, name in reversed(wanted.items()) if one not in known}
    if fresh:
        hashed = {identifiers.person(name): hash_password(word) for name, word in fresh.items()}
        write_secret(path, json.dumps({**people, **hashed}, indent=1))
    return fresh


def new_password() -> str:
    """Draws four groups of four letters: 79 bits, easy to type."""
    return "-".join("".join(secrets.choice(_WORDS) for _ in range(4)) for _ in range(4))
