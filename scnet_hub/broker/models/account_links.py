"""Account links: as whom a person's jobs run at a centre."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, WithJsonSchema

from ...domain import identifiers
from .base import DatedList, Document, Seconds, Taken, Time, texts


class AccountLink(Document):
    """One link of a person to an account at a centre, standing or ended."""

    person: str
    centre: str
    account: str
    how: Literal["list", "proof"]
    """list: the centre's own list · proof: the person's"""
    linked_by: str
    linked_at: Time
    ended_by: str
    ended_at: Time | None


class AccountLinks(DatedList):
    account_links: list[AccountLink]


class Proof(Document):
    """The command that proves that an account is the caller's, to be run at that centre."""

    centre: str
    account: str
    command: str
    valid_s: Seconds


class Link(Taken):
    account: Annotated[str, BeforeValidator(lambda value: identifiers.login(str(value))), WithJsonSchema(texts(64))]
