"""Account links: the accounts that a person's jobs run under at the centres."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, WithJsonSchema

from ...domain import identifiers
from .base import DatedList, Document, Seconds, Taken, Time, texts


class AccountLink(Document):
    """One link of a person to an account at a centre, in force or ended."""

    person: str
    centre: str
    account: str
    how: Literal["list", "proof"]
    """list: made by the centre's administrators · proof: made by the person"""
    linked_by: str
    linked_at: Time
    ended_by: str
    ended_at: Time | None


class AccountLinks(DatedList):
    account_links: list[AccountLink]


class Proof(Document):
    """The command, to be run at the centre, that proves that an account belongs to the caller."""

    centre: str
    account: str
    command: str
    valid_s: Seconds


class Link(Taken):
    account: Annotated[str, BeforeValidator(lambda value: identifiers.login(str(value))), WithJsonSchema(texts(64))]
