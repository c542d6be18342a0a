"""Quotas: ceilings on use at once, never on money; the ceilings that a request would pass, and the size that still fits
under all.

Pure: `services/placement/quota_check.py` finds each person's ceilings and their use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ...errors import OverQuota

NOUNS = {"sessions": "session", "cores": "core", "gpus": "GPU"}  # the resources with ceilings, singular


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """The use of live sessions at once, or the request of one more."""

    sessions: int = 0
    cores: int = 0
    gpus: int = 0

    def __add__(self, other: Use) -> Use:
        return Use(sessions=self.sessions + other.sessions, cores=self.cores + other.cores, gpus=self.gpus + other.gpus)


NOTHING = Use()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """A ceiling on one resource. `whose` is who may not pass it, like "Project sea", `user` whose use counts, like "it
    uses"; `where` names the place of a ceiling that does not hold everywhere."""

    whose: str
    user: str
    what: str
    limit: int
    used: int
    asked: int = 0
    where: str = ""

    @property
    def would_pass(self) -> int:
        """Returns how many more fit now."""
        return max(0, self.limit - self.used)

    @property
    def passed(self) -> bool:
        """Tells whether the request would pass it. A request for none of its kind never does."""
        return self.asked > self.would_pass

    @property
    def words(self) -> str:
        """Returns "Project sea may use 8 cores at once; it uses 6 and this asks for 4"."""
        where = f" {self.where}" if self.where else ""
        if not self.limit:
            return f"{self.whose} may use no {NOUNS[self.what]}s{where}; this asks for {self.asked}"
        most = _count(self.limit, self.what)
        return f"{self.whose} may use {most} at once{where}; {self.user} {self.used} and this asks for {self.asked}"


def under(whose: str, user: str, limits: Mapping[str, int | None], used: Use, where: str = "") -> list[Ceiling]:
    """Returns the ceilings of one page's table; a resource that it does not name has none."""
    counted = asdict(used)
    return [
        Ceiling(whose=whose, user=user, what=what, limit=limit, used=counted[what], where=where)
        for what in NOUNS
        if (limit := limits.get(what)) is not None
    ]


def over(ceilings: Sequence[Ceiling], asked: Use) -> list[Ceiling]:
    """Returns all ceilings that the request would pass, with its amounts."""
    wanted = asdict(asked)
    return [one for one in (replace(ceiling, asked=wanted[ceiling.what]) for ceiling in ceilings) if one.passed]


def refused(ceilings: Sequence[Ceiling], asked: Use) -> OverQuota | None:
    """Returns the error for a request that would pass some of them; None if it would not."""
    found = over(ceilings, asked)
    if not found:
        return None
    fits = {what: min((one.would_pass for one in ceilings if one.what == what), default=0) for what in NOUNS}
    first = found[0]
    return OverQuota(
        f"{first.words}.",
        hint=_remedy(first, fits[first.what]),
        details={"over": [document(one) | {"would_pass": fits[one.what]} for one in found]},
    )


def document(one: Ceiling) -> dict[str, Any]:
    """Returns a ceiling as data."""
    told = {"whose": one.whose, "what": one.what, "limit": one.limit, "used": one.used, "would_pass": one.would_pass}
    return told | ({"asked": one.asked} if one.asked else {})


def _remedy(one: Ceiling, fits: int) -> str:
    """Suggests a remedy: ask for less, stop something, or have the ceiling raised."""
    noun = NOUNS[one.what]
    if not one.limit:
        return f"Choose a size without {noun}s, or ask the federation's operators to allow some."
    if fits:
        return f"At most {fits} more {noun if fits == 1 else noun + 's'} would pass now."
    return f"Stop something first: no {noun}s are left. The federation's operators may raise the ceiling."


def _count(number: int, what: str) -> str:
    return f"{number} {NOUNS[what]}{'' if number == 1 else 's'}"
