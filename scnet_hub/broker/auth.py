"""Identifies callers: the hub by its own token, people and services by a JupyterHub token that the hub confirms.

An answer of the hub is valid for a minute, and for ten minutes while the hub can't be reached, so that a restart of the
hub locks no person out. Tokens are kept as hashes only.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections import OrderedDict
from dataclasses import dataclass

import httpx

from ..domain import identifiers
from ..errors import BrokerError, NotEntitled

USE, OPERATE = "custom:scnet:use", "custom:scnet:operate"
SERVERS = "access:servers!server="
FRESH, GRACE, REMEMBERED = 60.0, 600.0, 5000
Clock = time.monotonic
PLAUSIBLE = re.compile(r"[!-~]{1,200}", re.ASCII)  # other text is not a token, and would break the request to the hub


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls. `person` acts, or the hub acts for that person. An operator sees and stops every person's sessions.
    `session`: the token is that of one of the person's sessions; it lies at a centre, whose administrators can read it,
    so it never has an operator's rights."""

    person: str
    operator: bool = False
    session: bool = False
    hub: bool = False

    @property
    def scope(self) -> str:
        """Returns whose sessions and projects the caller may see: a person's name, or "" for every person's."""
        return "" if self.operator else self.person


class Unauthorised(NotEntitled):
    code = "bad-token"
    status = 401


class Gate:
    """Maps tokens to callers. `hub_api` is JupyterHub's own API; `hub_token` is the token that the spawner uses."""

    def __init__(self, hub_api: str, hub_token: str, *, http: httpx.AsyncClient | None = None) -> None:
        self.hub_api, self._hub_token = hub_api.rstrip("/"), hub_token
        self._http = http or httpx.AsyncClient(timeout=10, trust_env=False)
        self._known: OrderedDict[str, tuple[float, Caller | None]] = OrderedDict()
        # apart, so that guessed tokens push no valid token out
        self._bad: OrderedDict[str, tuple[float, Caller | None]] = OrderedDict()

    async def close(self) -> None:
        await self._http.aclose()

    def known(self, authorization: str) -> Caller | None:
        """Returns the caller of a token without asking the hub; None if the hub was not asked about the token or did
        not know it. The result proves nothing, because an old answer counts too."""
        kind, _, token = authorization.partition(" ")
        token = token.strip()
        if kind.lower() not in ("token", "bearer") or not PLAUSIBLE.fullmatch(token):
            return None
        if hmac.compare_digest(token.encode(), self._hub_token.encode()):
            return Caller(person="", hub=True)
        return self._known.get(hashlib.sha256(token.encode()).hexdigest(), (0.0, None))[1]

    async def caller(self, authorization: str, on_behalf_of: str, as_operator: bool = False) -> Caller:
        """Returns who calls. `as_operator` is the hub's statement that this person is an operator; it is ignored from
        other callers. Raises Unauthorised (401) for a missing or bad token, NotEntitled (403) for a token without the
        required scopes."""
        kind, _, token = authorization.partition(" ")
        token = token.strip()
        if kind.lower() not in ("token", "bearer") or not PLAUSIBLE.fullmatch(token):
            raise Unauthorised(
                "This call needs a token.", hint="Send `Authorization: token T` with a JupyterHub token."
            )
        if hmac.compare_digest(token.encode(), self._hub_token.encode()):
            return Caller(person=identifiers.person(on_behalf_of), hub=True, operator=as_operator or not on_behalf_of)
        caller = await self._vouched(token)
        if caller is None:
            raise Unauthorised(
                "The hub does not know this token: it has expired or was revoked.",
                hint="Restart your server, or create a new token on the hub's page Token.",
            )
        return caller

    async def _vouched(self, token: str) -> Caller | None:
        key = hashlib.sha256(token.encode()).hexdigest()
        at, known = self._known.get(key) or self._bad.get(key, (float("-inf"), None))
        if Clock() - at < FRESH:
            return known
        try:
            caller = await self._ask(token)
        except BrokerError:
            if known and Clock() - at < GRACE:
                return known
            raise
        kept = self._known if caller else self._bad
        (self._bad if caller else self._known).pop(key, None)
        kept[key] = (Clock(), caller)
        kept.move_to_end(key)
        while len(kept) > REMEMBERED:
            kept.popitem(last=False)
        return caller

    async def _ask(self, token: str) -> Caller | None:
        try:
            answer = await self._http.get(f"{self.hub_api}/user", headers={"Authorization": f"token {token}"})
        except httpx.HTTPError as error:
            raise BrokerError(
                "The hub can't be reached to check this token.", hint="Try again in a minute.", code="hub-away"
            ) from error
        if answer.status_code in (401, 403):
            return None
        if answer.status_code != 200:
            raise BrokerError(
                f"The hub answered {answer.status_code} when asked about this token.",
                hint="Try again in a minute.",
                code="hub-away",
            )
        model = answer.json()
        scopes = set(model.get("scopes", ()))
        operator = any(scope.split("!")[0] == OPERATE for scope in scopes)
        if not operator and not any(scope.split("!")[0] == USE for scope in scopes):
            raise NotEntitled(
                "This token may not use SCNet Hub.", hint=f"Use a token with the scope {USE}.", code="no-scope"
            )
        session = any(scope.startswith(SERVERS) for scope in scopes)
        person = identifiers.person(str(model.get("name") or ""))
        if not person:
            raise BrokerError(
                "The hub did not say whose token this is.", hint="Try again in a minute.", code="hub-away"
            )
        return Caller(person=person, operator=operator and not session, session=session)
