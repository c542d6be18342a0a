"""The REST calls of account links: the accounts that a person's jobs run under at each centre. They are not the
ledger's accounts."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Response

from ..domain.paging import PAGE
from ..services import documents
from ..services.documents import iso
from ..services.projects.account_links import PROOF_LIFE
from .bodies import BodyOf, answer
from .dependencies import After, Fed, Limit, Owner, Who, noun
from .models.account_links import AccountLink, AccountLinks, Link, Proof
from .refusals import CENTRES, refuses

router = noun()


@router.get("/account-links", response_model=AccountLinks)
async def list_account_links(
    fed: Fed, who: Who, all: Annotated[bool, Query()] = False, after: After = "", limit: Limit = PAGE
) -> Response:
    """Lists the caller's accounts at the centres, the oldest link first (for an operator: every person's); with `all`
    also links that have ended."""
    found, following = await fed.reports.account_links(who.scope, ended=all, after=after, limit=limit)
    return answer({"as_of": iso(fed.clock()), "account_links": found, "next": following})


@router.post(
    "/account-links/{centre}",
    response_model=Proof,
    openapi_extra=refuses("unknown-centre", "shared-centre", "listed", "account-taken"),
)
async def begin_link(centre: str, fed: Fed, person: Owner, body: Annotated[Link, Depends(BodyOf(Link))]) -> Response:
    """Begins the proof that an account at that centre belongs to the caller: answers the command to run there."""
    command = await fed.linking.ask(person, centre, body.account)
    return answer(
        {"centre": centre, "account": body.account, "command": command, "valid_s": PROOF_LIFE.total_seconds()}
    )


@router.post(
    "/account-links/{centre}/proof",
    response_model=AccountLink,
    openapi_extra=refuses(
        "unknown-centre", "shared-centre", "no-proof", "not-proven", "account-taken", "listed", "wrong-file", *CENTRES
    ),
)
async def prove_link(centre: str, fed: Fed, person: Owner) -> Response:
    """Looks for the word that the command left at the centre, and links the account."""
    return answer(documents.account_link(await fed.linking.prove(person, centre)))


@router.delete(
    "/account-links/{centre}",
    response_model=AccountLink,
    openapi_extra=refuses("unknown-centre", "shared-centre", "not-linked", "listed"),
)
async def end_link(centre: str, fed: Fed, person: Owner) -> Response:
    """Ends the caller's link at that centre; running sessions continue."""
    return answer(documents.account_link(await fed.linking.unlink(person, centre)))
