"""`/hub/accounts`: a person's account at each centre; link an account, prove it, unlink it.

`view` turns the broker's answers into the sentences that accounts.html prints; the handler calls the broker in the
person's name, so no token is ever in the browser. Plain forms: a refusal is shown at its field, with the input kept.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from tornado import web

from ...errors import NotFound, ScnetError
from ..fresh_login import require_fresh
from .base import Page

Json = dict[str, Any]
Facts = Mapping[str, Any]

MODES = {
    "certificate": "Your own account, signed in by the federation for 15 minutes at a time.",
    "service": "Your own account, through the federation's service account.",
    "shared": "One account for all people, as in a demo. There is nothing to link.",
}
HOW = {"list": "by the centre's own list", "proof": "by your own proof"}
# Hints for the page, where the broker's hint is about the command line.
HINTS = {
    "not-proven": "Sign in there as {account}, run the command, then check again.",
    "no-proof": "The proof has expired, or was never started: get a new command.",
    "not-linked": "",
}
DOES = ("link", "prove", "unlink")
PATIENCE = 90.0  # seconds for a proof: the broker signs in at the centre
_CENTRE = re.compile(r"[a-z][a-z0-9-]{0,30}", re.ASCII)
_MAIL = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+", re.ASCII)
_WEB = re.compile(r"https?://[^\s\"'<>]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A proof under way: the command that the person runs at the centre, and the end of its validity."""

    account: str
    command: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A form that was refused, and the error. `do` is "link", "prove" or "unlink"."""

    do: str
    centre: str
    account: str
    error: ScnetError


_asked: dict[
    tuple[str, str], Asked
] = {}  # (person, centre); the broker keeps only the word's hash, so the command is kept here


def remember(person: str, centre: str, asked: Asked, now: datetime) -> None:
    for key in [key for key, one in _asked.items() if one.until <= now]:
        del _asked[key]
    _asked[person, centre] = asked


def asked_of(person: str, now: datetime) -> dict[str, Asked]:
    """Returns a person's valid proofs by centre."""
    return {centre: one for (who, centre), one in _asked.items() if who == person and one.until > now}


# ---- words


def contact(text: str) -> dict[str, str]:
    """Returns a contact as text, with a link if it is a mail or web address."""
    href = f"mailto:{text}" if _MAIL.fullmatch(text) else text if _WEB.fullmatch(text) else ""
    return {"text": text, "href": href}


def day(iso: Any) -> str:
    """Returns "23 November 2026"; text that is not a time unchanged."""
    try:
        at = datetime.fromisoformat(str(iso))
    except ValueError:
        return str(iso or "")
    return f"{at.day} {at:%B %Y}"


def minutes_left(until: datetime, now: datetime) -> str:
    return f"{max(1, math.ceil((until - now) / timedelta(minutes=1)))} min left"


def problem(error: ScnetError, account: str) -> dict[str, str]:
    hint = HINTS.get(error.code, error.hint)
    return {"title": str(error), "hint": hint.format(account=account) if error.code in HINTS else hint}


def earlier(link: Facts, person: str) -> dict[str, str]:
    ended_by = str(link.get("ended_by") or "")
    return {
        "account": str(link.get("account") or ""),
        "how": HOW.get(str(link.get("how")), str(link.get("how") or "")),
        "since": day(link.get("linked_at")),
        "since_iso": str(link.get("linked_at") or ""),
        "until": day(link.get("ended_at")),
        "until_iso": str(link.get("ended_at") or ""),
        "ended_by": "you"
        if ended_by == person
        else "the centre's own list"
        if ended_by.startswith("the page of ")
        else ended_by,
    }


def row(
    centre: Facts, links: Sequence[Facts], person: str, asked: Asked | None, tried: Tried | None, now: datetime
) -> Json:
    """Returns one centre as the page shows it; a refusal (`error`) is shown at the form that `error_at` names, or at
    the "card"."""
    standing: Facts = next((one for one in links if not one.get("ended_at")), {})
    mode, listed = str(centre.get("identity") or ""), standing.get("how") == "list"
    may_link = mode != "shared" and not listed
    asked = asked if may_link else None
    forms = {"link": may_link, "prove": asked is not None, "unlink": bool(standing) and not listed}
    at = _at(tried, forms) if tried else ""
    return {
        "id": str(centre["id"]),
        "name": str(centre.get("name") or centre["id"]),
        "organisation": str(centre.get("organisation") or ""),
        "contact": contact(str(centre.get("contact") or "")),
        "mode": MODES.get(mode, ""),
        "shared": mode == "shared",
        "may_link": may_link,
        "account": str(standing.get("account") or ""),
        "listed": listed,
        "how": HOW.get(str(standing.get("how")), ""),
        "since": day(standing.get("linked_at")),
        "since_iso": str(standing.get("linked_at") or ""),
        "earlier": [earlier(one, person) for one in links if one.get("ended_at")][::-1],
        "asked": asked_words(asked, now) if asked else None,
        "typed": tried.account if tried and at == "link" else "",
        "error": problem(tried.error, tried.account) if tried else None,
        "error_at": at,
    }


def _at(tried: Tried, forms: Mapping[str, bool]) -> str:
    """Returns the form at which a refusal is shown; a proof that can't go on is refused where a new one is started."""
    wanted = "link" if tried.error.code == "no-proof" or (tried.do == "prove" and not forms["prove"]) else tried.do
    return wanted if forms[wanted] else "card"


def asked_words(asked: Asked, now: datetime) -> Json:
    return {
        "account": asked.account,
        "command": asked.command,
        "until": f"{asked.until:%H:%M} UTC",
        "until_iso": asked.until.isoformat(timespec="seconds"),
        "left": minutes_left(asked.until, now),
        "left_s": int((asked.until - now).total_seconds()),
    }


def view(
    centres: Sequence[Facts], links: Sequence[Facts], person: str, *,
    asked: Mapping[str, Asked], tried: Tried | None = None, away: ScnetError | None = None, now: datetime,
) -> Json:  # fmt: skip
    """Returns all texts of the page. Without an answer of the broker (`away`) the centres are those of the form or of a
    proof under way, so that no input and no command is lost."""
    misfit = tried and (tried.do not in DOES or not _CENTRE.fullmatch(tried.centre))
    if away:
        centres = [{"id": id} for id in dict.fromkeys([*asked, *([tried.centre] if tried and not misfit else [])])]
    known = {str(centre["id"]) for centre in centres}
    rows = [
        row(
            centre, [one for one in links if one["centre"] == centre["id"]], person, asked.get(str(centre["id"])),
            tried if tried and not misfit and tried.centre == centre["id"] else None, now,
        )
        for centre in centres
    ]  # fmt: skip
    said = away or (tried.error if tried and (misfit or tried.centre not in known) else None)
    return {"rows": rows, "problem": problem(said, "") if said else None, "away": bool(away)}


def after(shown: Json, done: str) -> Json:
    """Returns the view with the action that was just `done` at a centre, by its id."""
    return {**shown, "rows": [{**one, "done": _done(one) if one["id"] == done else ""} for one in shown["rows"]]}


def _done(row: Facts) -> str:
    """Says what was just done at that centre, by the facts: a URL can't make the page say something false."""
    if row["asked"] or not row["may_link"]:
        return ""
    return (
        f"Linked: at {row['name']} your sessions run as {row['account']}."
        if row["account"]
        else f"No longer linked at {row['name']}."
    )


# ---- the page


class AccountsPage(Page):
    """GET shows the page; POST `do` = link, prove or unlink at `centre`, then shows it again."""

    @property
    def confirms(self) -> bool:
        return True

    @web.authenticated
    async def get(self) -> None:
        await self.show(done=self.get_query_argument("done", "")[:40])

    @web.authenticated
    async def post(self) -> None:
        do, centre, account = (self.get_body_argument(name, "")[:200] for name in ("do", "centre", "account"))
        try:
            require_fresh(self)
            await self.act(do, centre, account)
        except ScnetError as error:
            return await self.show(tried=Tried(do=do, centre=centre, account=account, error=error))
        done = "" if do == "link" else f"?done={centre}"
        self.redirect(f"{self.hub.base_url}accounts{done}#centre-{centre}", status=303)

    async def act(self, do: str, centre: str, account: str) -> None:
        if do not in DOES or not _CENTRE.fullmatch(centre):
            raise NotFound(
                "There is no such centre in this federation.", hint="Use the forms of this page.", code="unknown-centre"
            )
        path, now = f"account-links/{quote(centre, safe='')}", datetime.now(UTC)
        if do == "unlink":
            await self.broker.call("DELETE", path, self.person)
        elif do == "link":
            answer = await self.broker.call("POST", path, self.person, json={"account": account})
            until = now + timedelta(seconds=float(answer["valid_s"]))
            remember(self.person, centre, Asked(account=answer["account"], command=answer["command"], until=until), now)
        else:
            await self.broker.call("POST", f"{path}/proof", self.person, timeout=PATIENCE)
            _asked.pop((self.person, centre), None)

    async def show(self, *, tried: Tried | None = None, done: str = "") -> None:
        away, centres, links = None, [], []
        try:
            found = await asyncio.gather(
                self.broker.listed("centres", "centres", self.person, timeout=5),
                self.broker.listed("account-links", "account_links", self.person, params={"all": 1}, timeout=5),
            )
            centres, links = found[0]["centres"], found[1]["account_links"]
        except ScnetError as error:
            away = error
        now = datetime.now(UTC)
        shown = view(centres, links, self.person, asked=asked_of(self.person, now), tried=tried, away=away, now=now)
        await self.say("accounts.html", after(shown, done), tried.error if tried else None, away, here="accounts")
