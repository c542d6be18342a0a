"""Splits: who receives a charge, and who pays it, in the entry of the charge itself.

Centre, app publisher and platform fee receive it; the project, a grantor's subsidy and the centre's own SLA credit pay
it. Shares are millionths; the largest remainders get what rounding leaves, so that either side adds up to the charge
exactly. Nothing here knows a price, or why a share has its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...units import Amount
from .entries import Posting, centre_account, grants_account

WHOLE = 1_000_000
FEDERATION = "federation"


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """Splits `total` in proportion to `weights`, into parts that add up to it exactly: each is rounded towards zero,
    and those with the largest remainders get one more; the first of equals. A negative total is the mirror of the
    positive one. Raises ValueError."""
    whole = sum(weights)
    if whole <= 0 or min(weights) < 0:
        raise ValueError(f"weights {list(weights)[:10]} are not shares of anything")
    sign, size = (-1, -total) if total < 0 else (1, total)
    parts = [size * weight // whole for weight in weights]
    if left := size - sum(parts):
        by_remainder = sorted(range(len(weights)), key=lambda one: (-(size * weights[one] % whole), one))
        for one in by_remainder[:left]:
            parts[one] += 1
    return [sign * part for part in parts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Millionths of a charge. `publisher` and `fee` receive theirs, the centre the rest; `subsidy` and `sla` pay
    theirs, the project the rest. Raises ValueError if a share is negative or the shares of a side exceed the whole."""

    publisher: int = 0
    fee: int = 0
    subsidy: int = 0
    sla: int = 0

    def __post_init__(self) -> None:
        if min(self.publisher, self.fee, self.subsidy, self.sla) < 0:
            raise ValueError(f"a share is negative: {self}")
        if self.publisher + self.fee > WHOLE or self.subsidy + self.sla > WHOLE:
            raise ValueError(f"shares add up to more than the whole: {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A split charge: charge = centre + publisher + fee = project + subsidy + sla_credit."""

    charge: Amount
    centre: Amount
    publisher: Amount
    fee: Amount
    project: Amount
    subsidy: Amount
    sla_credit: Amount


def split(charge: Amount, shares: Shares) -> Split:
    """Splits a charge by its shares."""
    publisher, fee, centre = _parts(charge, shares.publisher, shares.fee)
    subsidy, sla_credit, project = _parts(charge, shares.subsidy, shares.sla)
    return Split(
        charge=charge,
        centre=centre,
        publisher=publisher,
        fee=fee,
        project=project,
        subsidy=subsidy,
        sla_credit=sla_credit,
    )


def _parts(charge: Amount, *shares: int) -> list[Amount]:
    weights = [*shares, WHOLE - sum(shares)]
    return [Amount(part, charge.unit) for part in apportion(charge.micros, weights)]


def postings(parts: Split, *, centre: str, publisher: str = "", grantor: str = "") -> tuple[Posting, ...]:
    """Returns all of a charge's postings except the project's own, which are -`parts.project`. Raises ValueError if a
    recipient or payer of a part has no name."""
    if parts.publisher and not publisher:
        raise ValueError("an app's share without a publisher")
    if parts.subsidy and not grantor:
        raise ValueError("a subsidy without a grantor")
    posted = (
        Posting(centre_account(centre), parts.centre),
        Posting(publisher_account(publisher), parts.publisher),
        Posting(fee_account(), parts.fee),
        Posting(grants_account(grantor), -parts.subsidy),
        Posting(sla_account(centre), -parts.sla_credit),
    )
    return tuple(one for one in posted if one.amount)


def publisher_account(publisher: str) -> str:
    return f"publisher:{publisher}"


def fee_account() -> str:
    return f"fee:{FEDERATION}"


def sla_account(centre: str) -> str:
    return f"sla:{centre}"
