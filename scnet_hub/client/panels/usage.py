"""The panel of the usage since the start of this month: the person's own, or with `project` that of a project, by
centre, person or day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

from ...display.times import NONE
from ...errors import BadOption
from ...units import format_number
from .base import Panel, script
from .poller import Poller, Question, question
from .snapshot import Table, plain
from .state import shown

Json = dict[str, Any]
# by: the column's head, and the fields of a row that identify it and name it
BY = {
    "centre": ("Centre", "centre", "centre_name"),
    "person": ("Person", "person", "person"),
    "day": ("Day", "day", "day"),
}


class Usage:
    """The saved form: one table, whose first column is what the usage is summed by."""

    def html(self, state: Json) -> str:
        return _table(state).html(state)

    def text(self, state: Json) -> str:
        return _table(state).text(state)


def _table(state: Json) -> Table:
    columns = (
        plain(state.get("head", ""), lambda row: row["name"]),
        plain("Sessions", lambda row: row["sessions"], num=True),
        plain("Charged", lambda row: row["charged"], num=True),
        plain("In flight", lambda row: row["in_flight"], num=True),
    )
    return Table(state.get("caption", ""), lambda shown: shown.get("rows", ()), columns)


def asked(by: str, project: str) -> Question:
    """Makes the panel's question for its options."""
    return question("usage", by=by, project=project)


def state(usage: Json, now: datetime) -> Json:
    """Makes the state of the answer of `GET usage`; days without usage are left out."""
    head, key, name = BY[usage["by"]]
    since = date.fromisoformat(usage["first_day"])
    used = [one for one in usage["rows"] if usage["by"] != "day" or one["charged"] or one["in_flight"]]
    rows = [
        {
            "id": str(one[key]), "name": one[name] or NONE, "sessions": f"{one['sessions']:,}",
            "charged": format_number(one["charged"]), "in_flight": format_number(one["in_flight"]),
        }
        for one in used
    ]  # fmt: skip
    where = f" in {usage['project']}" if usage["project"] else ""
    caption = f"Credits used{where} since {since.day} {since:%b %Y}"
    summary = f"{format_number(usage['charged'])} credits charged, {format_number(usage['in_flight'])} in flight"
    return shown(now, summary, head=head, caption=caption, rows=rows)


class UsagePanel(Panel):
    """`project`: the usage of all its members, for those who lead it. `by`: "centre", "person" (of a project) or
    "day"."""

    _esm = script("usage")
    parts = (Usage(),)

    def __init__(self, poller: Poller, stop: Callable[[str], Any], *, by: str = "centre", project: str = "") -> None:
        if by not in BY:
            raise BadOption(f"by: {by!r} is not a way to sum up usage.", hint=f"Choose one of: {', '.join(BY)}.")
        self.questions = (asked(by, project),)
        super().__init__(poller, stop)

    def draw(self, answers: Sequence[Any], now: datetime) -> Json:
        return state(answers[0], now)


PANEL = UsagePanel
