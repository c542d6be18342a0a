"""Lists live sessions in brief, for programs that compare thousands every few seconds. A session that has not changed
since the last listing is not read again.

Every change of a session increases its `version`, so a document is right as long as the version that it was made from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as session_rows
from ...domain.centres.session_warnings import Notice
from ...domain.centres.state import CentreStates
from ...domain.sessions.records import BriefRow
from .. import documents

Json = dict[str, Any]
REMEMBERED = 50_000  # sessions


class Known(NamedTuple):
    """A session as it was last listed."""

    row: BriefRow
    document: Json


class Briefs:
    """Keeps the brief documents of sessions. `warnings` returns a session's warnings now, which change without a new
    version."""

    def __init__(self, states: CentreStates, warnings: Callable[[BriefRow], list[Notice]]) -> None:
        self.states, self.warnings = states, warnings
        self._known: dict[str, Known] = {}

    def page(self, tx: Tx, *, person: str, kind: str, after: str, limit: int, tokens: bool) -> tuple[list[Json], str]:
        """Returns a page of sessions, oldest first, and where the next page begins ("" on the last). `tokens`: adds
        each session's own token."""
        versions = session_rows.versions(tx, person=person, kind=kind, after=after, limit=limit + 1)
        page = self._learn(tx, dict(versions[:limit]))
        found = [self._document(one, tokens) for one in page]
        return found, versions[limit - 1][0] if len(versions) > limit else ""

    def _learn(self, tx: Tx, versions: dict[str, int]) -> list[Known]:
        found = {
            one: known for one in versions if (known := self._known.get(one)) and known.row.version == versions[one]
        }
        for row in session_rows.briefs(tx, [one for one in versions if one not in found]):
            found[row.id] = self._known[row.id] = Known(row, documents.brief(row, self.states.centres.get(row.centre)))
        if len(self._known) > REMEMBERED:
            self._known = dict(found)
        return [found[one] for one in versions]

    def _document(self, known: Known, tokens: bool) -> Json:
        more: Json = {"token": known.row.token or ""} if tokens else {}
        warnings = self.warnings(known.row)
        return known.document | more | {"warnings": [documents.warning(one) for one in warnings]}
