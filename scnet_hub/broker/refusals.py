"""Every code that a refusal by REST may have: its HTTP statuses, and when it happens. Calls name their own codes; the
others follow from what a call depends on (`openapi.py`)."""

from __future__ import annotations

from typing import Any, NamedTuple

from .models.problems import Problem

Json = dict[str, Any]
CODES = "x-codes"  # in a call's OpenAPI operation, until the document is complete


class Code(NamedTuple):
    statuses: tuple[int, ...]
    when: str


ALL: dict[str, Code] = {
    "bad-option": Code((400,), "an option, field or parameter is unknown, malformed or out of range"),
    "too-large": Code((400,), "the body is too large"),
    "bad-token": Code((401,), "no token, or one that expired or was revoked"),
    "overdrawn": Code((402,), "the project's credits do not cover the cost"),
    "over-cap": Code((402,), "the cost would exceed this member's cap in the project"),
    "not-entitled": Code((403,), "the caller lacks the role"),
    "no-scope": Code((403,), "the token lacks the scope"),
    "no-person": Code((403,), "the token names no person"),
    "no-project": Code((403,), "the person is in no project"),
    "hub-only": Code((403,), "only the hub may make this call"),
    "not-from-a-session": Code((403,), "a session's own token may not make this call"),
    "not-the-manager": Code((403,), "only the project's PI and managers may make this call"),
    "unknown-project": Code((403, 404), "the caller has no such project"),
    "unknown-session": Code((404,), "the caller has no such session"),
    "unknown-centre": Code((404,), "no such centre"),
    "unknown-decision": Code((404,), "the caller has no such decision"),
    "unknown-period": Code((404,), "the books have no such month"),
    "unknown-person": Code((404,), "no data is stored about that person"),
    "unknown-record": Code((404,), "no such usage record"),
    "unknown-statement": Code((404,), "the caller has no such statement"),
    "no-proof": Code((404,), "no proof is under way"),
    "not-linked": Code((404,), "no account is linked there"),
    "not-kept": Code((404,), "the record is no longer kept"),
    "not-found": Code((404,), "nothing of that name is visible to the caller"),
    "http": Code((404, 405), "there is no such call"),
    "too-slow": Code((408,), "the body did not arrive in time; nothing was done"),
    "no-placement": Code((409,), "no centre fits; `details.refusals` gives the reason of each"),
    "over-quota": Code((409,), "a ceiling on use at once would be exceeded; `details.over` lists each"),
    "wrong-file": Code((409,), "the path does not name a regular file"),
    "refused": Code((422,), "another reason, given in the sentence"),
    "key-taken": Code((422,), "the same key was used for something else"),
    "stopping": Code((422,), "the previous session is still being stopped"),
    "not-running": Code((422,), "only a running Lab can be continued"),
    "account-taken": Code((422,), "the account is linked to another person"),
    "listed": Code((422,), "the link was made by the centre's administrators"),
    "not-proven": Code((422,), "the command has not been run at the centre yet"),
    "shared-centre": Code((422,), "the centre runs all jobs under one account"),
    "requests-open": Code((422,), "the project has too many unanswered requests"),
    "already-decided": Code((422,), "the request has already been answered"),
    "over-budget": Code((422,), "the grantor's budget would be exceeded"),
    "still-named": Code((422,), "pages still name the person; `details.where`"),
    "sessions-open": Code((422,), "the person has sessions that are not over; `details.sessions`"),
    "decided": Code((422,), "the record is not in suspense"),
    "no-usage": Code((422,), "the record has nothing that could be charged"),
    "period-closed": Code((422,), "the month is closed"),
    "period-open": Code((422,), "the month is not closed"),
    "period-not-closed": Code((422,), "the month can't be closed; `details.reasons`"),
    "too-late": Code((422,), "the time for disputes is over"),
    "statement-answered": Code((422,), "the statement's state does not allow this action"),
    "bad-nonce": Code((422,), "the nonce is not this session's"),
    "bad-host": Code((422,), "no session of that centre can listen at that address"),
    "not-first": Code((422,), "another copy of the session already runs"),
    "over": Code((422,), "the session is over or being stopped"),
    "too-many-requests": Code((429,), "the caller has too many requests at once; nothing was done, `Retry-After`"),
    "fault": Code((500,), "an internal error of the broker"),
    "bad-spec": Code((500,), "a file of the federation or of a centre is wrong"),
    "centre-error": Code((502,), "an error at a centre"),
    "centre-rejected": Code((502,), "the centre refused; its own message is in the sentence"),
    "centre-garbled": Code((502,), "the centre's answer can't be read"),
    "centre-unreachable": Code((503,), "the centre could not be asked"),
    "centre-denied": Code((503,), "the centre does not admit the federation, or that account"),
    "centre-silent": Code((503,), "a program at the centre did not answer in time"),
    "hub-away": Code((503,), "the hub could not be asked about the token"),
    "not-stored": Code((503,), "the broker's database can't be read or written now; nothing was changed"),
    "overloaded": Code((503,), "the broker is overloaded; nothing was done, `Retry-After`"),
}
CENTRES = ("centre-error", "centre-rejected", "centre-garbled", "centre-unreachable", "centre-denied", "centre-silent")
PLACING = ("bad-option", "unknown-centre", "unknown-project", "no-project")


def refuses(*codes: str) -> Json:
    """Returns the `openapi_extra` of a call with the codes of its own."""
    return {CODES: codes}


def schema_name(code: str) -> str:
    return "".join(part.title() for part in code.split("-")) + "Problem"


def schemas() -> dict[str, Json]:
    """Returns a schema for each code, by name: a problem with that code."""
    base = Problem.model_json_schema()
    return {
        schema_name(code): {
            **base, "title": schema_name(code), "description": f"{one.when[0].upper()}{one.when[1:]}.",
            "properties": {**base["properties"], "code": {"type": "string", "const": code}},
        }
        for code, one in ALL.items()
    }  # fmt: skip


def responses(codes: set[str]) -> dict[str, Json]:
    """Returns the `responses` of a call with these refusals, by status."""
    found: dict[str, Json] = {}
    for status in sorted({status for code in codes for status in ALL[code].statuses}):
        here = [code for code in ALL if code in codes and status in ALL[code].statuses]
        refs = [{"$ref": f"#/components/schemas/{schema_name(code)}"} for code in here]
        schema: Json = refs[0] if len(refs) == 1 else {"oneOf": refs}
        words = "; ".join(f"`{code}`: {ALL[code].when}" for code in here)
        found[str(status)] = {"description": f"{words}.", "content": {"application/problem+json": {"schema": schema}}}
    return found
