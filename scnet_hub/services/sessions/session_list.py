"""Live sessions in brief, for programs that compare thousands every few seconds: what did not change since it was listed last is not
read again.

Every change of a session counts its `version` up, so a document that was made of a version is right as long as that is the version.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as stored
from ...domain.centres.session_warnings import Notice
from ...domain.centres.state import Load
from ...domain.sessions.records import BriefRow
from .. import documents

Json = dict[str, Any]
REMEMBERED = 50_000  # sessions


class Known(NamedTuple):
    """A session as it was listed last."""

    row: BriefRow
    document: Json


class Briefs:
    """`warnings` says what a session's person should know now: that changes without a new version."""

    def __init__(self, load: Load, warnings: Callable[[BriefRow], list[Notice]]) -> None:
        self.load, self.warnings = load, warnings
        self._known: dict[str, Known] = {}

    def page(self, tx: Tx, *, person: str, kind: str, after: str, limit: int, tokens: bool) -> tuple[list[Json], str]:
        """A page, the oldest first, and where the next one begins: "" on the last one. `tokens`: each with its job's own."""
        versions = stored.versions(tx, person=person, kind=kind, after=after, limit=limit + 1)
        page = self._learn(tx, dict(versions[:limit]))
        found = [self._document(one, tokens) for one in page]
        return found, versions[limit - 1][0] if len(versions) > limit else ""

    def _learn(self, tx: Tx, versions: dict[str, int]) -> list[Known]:
        found = {one: known for one in versions if (known := self._known.get(one)) and known.row.version == versions[one]}
        for row in stored.briefs(tx, [one for one in versions if one not in found]):
            found[row.id] = self._known[row.id] = Known(row, documents.brief(row, self.load.centres.get(row.centre)))
        if len(self._known) > REMEMBERED:
            self._known = dict(found)
        return [found[one] for one in versions]

    def _document(self, known: Known, tokens: bool) -> Json:
        more: Json = {"token": known.row.token or ""} if tokens else {}
        warnings = self.warnings(known.row)
        return known.document | more | {"warnings": [documents.warning(one) for one in warnings]}
