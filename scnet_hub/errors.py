"""All errors that SCNet Hub raises on purpose, branched by who acts next.

    ScnetError
    ├── Refused             the person changes something
    │   ├── BadOption       an option is unknown, malformed or out of range
    │   ├── NoPlacement     no centre fits; `refusals` says why, centre by centre
    │   ├── OverQuota       a ceiling on use at once
    │   ├── Overdrawn       the allocation does not cover the cost
    │   ├── KeyTaken        the same key was used for something else
    │   ├── TooMany         more requests at once than one caller may have
    │   ├── TooSlow         the body of a request did not arrive in time
    │   ├── NotEntitled     not a member, not the owner, not the role
    │   └── NotFound        nothing with that name that this person may see
    ├── CentreError         we wait, or the centre acts
    │   ├── Unreachable     the query could not be sent: never means that a job ended
    │   │   ├── Denied      the centre refuses the federation: retrying is useless until the centre or an operator acts
    │   │   └── Silent      the centre was reached, but the program that was asked there did not answer in time
    │   ├── Rejected        the centre refused, in the centre's own words
    │   ├── WrongFile       a path of a job or person does not name a regular file
    │   └── Garbled         an answer that can't be read
    ├── BrokerError         the broker is down, or refused the caller's token
    │   ├── Overloaded      the broker is too busy now: nothing was done
    │   └── NotStored       the broker's database can't be read or written now: nothing was changed
    └── SpecError           the operator corrects a file

Each error carries a stable `code`, a sentence for people, `hint` (what to try) and `acts` (who must act). REST sends
errors as problem+json (RFC 9457); this file knows nothing of HTTP except the status that each refusal maps to.
"""

from __future__ import annotations

from typing import Any


class ScnetError(Exception):
    """Base of all errors. `str(error)` is the sentence; `code` is stable; `hint` is what to try; `details` is data."""

    code = "error"
    status = 500
    acts = "The federation's operators"  # who must do something, for people

    def __init__(self, message: str, *, hint: str = "", code: str = "", details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code or type(self).code
        self.details = details or {}
        if hint:
            self.add_note(hint)  # so that a notebook's traceback ends with what to try

    def _render_traceback_(self) -> list[str]:
        """Returns the lines that IPython prints: the sentence and the hint. The place in this package that raised the
        error helps no reader."""
        return [f"{type(self).__name__}: {self}", *([self.hint] if self.hint else [])]

    def problem(self) -> dict[str, Any]:
        """Returns this error as an RFC 9457 problem document."""
        return {
            "type": f"urn:scnet:problem:{self.code}",
            "title": str(self),
            "status": self.status,
            "code": self.code,
            "family": next((kind.code for kind in KINDS.values() if isinstance(self, kind)), ""),
            "hint": self.hint,
            "acts": self.acts,
            **({"details": self.details} if self.details else {}),
        }


class Refused(ScnetError):
    code = "refused"
    status = 422
    acts = "You"


class BadOption(Refused):
    code = "bad-option"
    status = 400


class NoPlacement(Refused):
    code = "no-placement"
    status = 409


class OverQuota(Refused):
    code = "over-quota"
    status = 409


class Overdrawn(Refused):
    code = "overdrawn"
    status = 402
    acts = "You, or the grantor of your project's credits"


class KeyTaken(Refused):
    code = "key-taken"
    status = 422


class NotEntitled(Refused):
    code = "not-entitled"
    status = 403
    acts = "You, or the federation's operators"


class TooMany(Refused):
    code = "too-many-requests"
    status = 429


class TooSlow(Refused):
    code = "too-slow"
    status = 408


class NotFound(Refused):
    code = "not-found"
    status = 404


def plain(said: str, most: int = 1000) -> str:
    """Returns a centre's words fit for a sentence: at most `most` characters, without characters that control a
    terminal."""
    text = said if len(said) <= most else f"{said[:most]}…"
    return "".join(one if one.isprintable() or one == "\n" else " " for one in text)


class CentreError(ScnetError):
    code = "centre-error"
    status = 502
    acts = "The centre's admins; the centre is asked again automatically"

    def __init__(self, message: str, *, hint: str = "", code: str = "", details: dict[str, Any] | None = None) -> None:
        super().__init__(plain(message), hint=hint, code=code, details=details)


class Unreachable(CentreError):
    code = "centre-unreachable"
    status = 503


class Denied(Unreachable):
    code = "centre-denied"
    acts = "The centre's admins, or the federation's operators"


class Silent(Unreachable):
    code = "centre-silent"


class Rejected(CentreError):
    code = "centre-rejected"
    acts = "You, or the centre's admins"


class WrongFile(CentreError):
    code = "wrong-file"
    status = 409
    acts = "You"
    REMEDY = (
        "Only regular files are read. Remove the file or folder with this name, and let your program write a "
        "regular file."
    )


class Garbled(CentreError):
    code = "centre-garbled"


class BrokerError(ScnetError):
    code = "broker-unreachable"
    status = 503
    acts = "The federation's operators; the hub keeps trying"


class Overloaded(BrokerError):
    code = "overloaded"


class NotStored(BrokerError):
    code = "not-stored"
    acts = "The federation's operators"


class SpecError(ScnetError):
    code = "bad-spec"


KINDS: dict[str, type[ScnetError]] = {
    kind.code: kind
    for kind in (
        BadOption, NoPlacement, OverQuota, Overdrawn, KeyTaken, TooMany, TooSlow, NotEntitled, NotFound, Refused,
        Denied, Silent, Unreachable, Rejected, WrongFile, Garbled, CentreError, NotStored, Overloaded, BrokerError,
        SpecError,
    )
}  # fmt: skip


def from_problem(problem: dict[str, Any]) -> ScnetError:
    """Rebuilds on the client's side the error that `problem()` described; an unknown code gives a plain ScnetError."""
    code = str(problem.get("code", ""))
    kind = KINDS.get(code) or KINDS.get(str(problem.get("family", "")), ScnetError)
    details = problem.get("details")
    return kind(
        str(problem.get("title") or problem.get("detail") or "the broker refused and gave no reason"),
        hint=str(problem.get("hint", "")),
        code=code,
        details=details if isinstance(details, dict) else None,
    )
