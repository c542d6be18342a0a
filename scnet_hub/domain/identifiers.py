"""Makes names and addresses from people and sessions safe, or checks them: pure.

`person` is the one normal form of a person's name: whatever comes in from outside (a login, a token, a page, a request)
goes through it. `account` is a person's name where everything runs under one account (embedded centres, demos): a
folder of their own there, not a uid. Where people have accounts of their own, `account_links` knows them.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import unicodedata
from collections.abc import Iterable, Mapping

from ..errors import BadOption

_GONE = re.compile(r"gone-[abcdefghijkmnpqrstuvwxyz23456789]{12}", re.ASCII)
_LOGIN = re.compile(r"[a-z_][a-z0-9_.-]{0,31}", re.ASCII)


def person(name: str) -> str:
    """Returns the normal form of a person's name: lower case, as JupyterHub stores it (`normalize_username` is
    `str.lower`), in Unicode's composed form (NFC), so that "Zoë" is one person whichever keyboard typed it. Not
    `casefold`: "straße" stays as the hub has it."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).lower())


def alike(names: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Returns, by person, the names that are spelt differently and mean the same person: two or more each."""
    found: dict[str, dict[str, None]] = {}
    for name in names:
        found.setdefault(person(name), {})[name] = None
    return {one: tuple(spellings) for one, spellings in found.items() if len(spellings) > 1}


def account(person: str) -> str:
    """Returns a name that is safe as one path segment and different for different people ("Ada/x" → "=41da=2fx")."""
    safe = re.sub(rb"[^a-z0-9_.-]", lambda match: b"=%02x" % ord(match[0]), person.encode())
    if safe.startswith(b"."):
        safe = b"=2e" + safe[1:]
    name = safe.decode()
    return name if len(name) <= 200 else f"{name[:160]}={hashlib.sha256(person.encode()).hexdigest()[:32]}"


def forgotten(person: str) -> bool:
    """Tells whether this is the random name of an erased person, to whom nothing can be sent."""
    return bool(_GONE.fullmatch(person))


def login(name: str) -> str:
    """Returns the name of an account at a centre, if it is valid. Raises BadOption."""
    if not _LOGIN.fullmatch(name):
        raise BadOption(
            f"account: {name[:40]!r} is not a valid login.",
            hint="Use lower-case letters, digits, '.', '_' and '-'; at most 32.",
        )
    return name


def lies_in(host: str, networks: Iterable[str]) -> bool:
    """Tells whether `host` is an IP address in one of the networks (like "10.1.0.0/16")."""
    try:
        return any(ipaddress.ip_address(host) in ipaddress.ip_network(network) for network in networks)
    except ValueError:
        return False
