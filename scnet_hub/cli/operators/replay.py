"""`scnet simulate --decisions`: the log of a running hub, or one that was saved, against other policies.

The hub only reads its log, page by page; the decisions are made again here. A saved log is a page a line, as JSON, plain or `.gz`.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import click

from ...client.rest import Client
from ...errors import BadOption, NotFound
from ...simulator.replay import LOGGED, Candidate, Replay, document
from ..app import Json, plain, print_table, readable
from ..commands.sessions import moment
from .decisions import seconds

SHOWN = 25  # decisions that the table lists
CAVEAT = """each decided again by itself from what was known then. Sending one elsewhere changes nothing here for those after it, and how
long it would really have waited there nobody knows: expected and real waits are compared only where a policy agrees with what was done."""
Tell = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Which decisions: of a saved log all, else of so many days from then on or up to now; at most so many."""

    source: Path | None
    since: datetime | None
    days: float
    most: int


def replayed(stretch: Stretch, connect: Callable[[], Client], candidates: list[Candidate], save: Path | None, tell: Tell) -> Json:
    """Raises NotFound where there is nothing to replay."""
    replay, left, page = Replay(candidates), 0, {}
    with saved(stretch.source) if stretch.source else asked(stretch, connect) as pages, saving(save) as keep:
        for page in pages:
            keep(page)
            replay.feed(page)
            done = len(replay.decisions) + replay.not_kept
            left = page["left"] - len(page["decisions"])
            tell(done / max(min(done + left, stretch.most), 1))
            if done >= stretch.most:
                break
    if not replay.decisions:
        raise nothing(replay.not_kept, page)
    return {"until": page["until"], "left": left} | document(replay)


def nothing(not_kept: int, page: Json) -> NotFound:
    if not not_kept:
        return NotFound("Nothing was decided in that time.", hint="`--days 7` looks further back.", code="no-decisions")
    return NotFound(
        f"What the {not_kept} decisions of that time were made from is not kept any more.",
        hint=f"It is kept for {page['replay_days']} days (`replay_days` in the federation's page); `--save FILE` takes it home before.",
        code="not-kept",
    )


# ---- where pages come from and go to


@contextmanager
def asked(stretch: Stretch, connect: Callable[[], Client]) -> Iterator[Iterator[Json]]:
    params: Json | None = {"days": stretch.days}
    if stretch.since:
        params = {"since": stretch.since.isoformat(), "until": min(stretch.since + timedelta(days=stretch.days), now()).isoformat()}

    def pages(client: Client, params: Json | None) -> Iterator[Json]:
        while params is not None:
            page = client.call("GET", "decisions/log", params=params, timeout=120)
            yield page
            params = {"after": page["next"]} if page["next"] else None

    with readable(), connect() as client:
        yield pages(client, params)


def now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def saved(path: Path) -> Iterator[Iterator[Json]]:
    def pages(file: IO[str]) -> Iterator[Json]:
        for number, line in enumerate(file, 1):
            try:
                page = json.loads(line)
                _ = page["left"], page["until"], page["decisions"]
            except (ValueError, LookupError, TypeError):
                raise BadOption(f"{path}, line {number}: this is no saved decision log.", hint="`--save` writes one.") from None
            yield page

    try:
        with opened(path, "r") as file:
            yield pages(file)
    except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError):
        raise BadOption(f"{path} can't be read: it is cut off or damaged.", hint="Save it again.") from None
    except OSError as error:
        raise BadOption(f"{path} can't be read: {error.strerror or error}.") from None


@contextmanager
def saving(path: Path | None) -> Iterator[Callable[[Json], object]]:
    if path is None:
        yield lambda page: None
        return
    try:
        with opened(path, "w") as file:
            yield lambda page: file.write(json.dumps(page, ensure_ascii=False) + "\n")
    except OSError as error:
        raise BadOption(f"{path} can't be written: {error.strerror or error}.") from None


def opened(path: Path, mode: str) -> IO[Any]:
    opens: Callable[..., IO[Any]] = gzip.open if path.suffix == ".gz" else open
    return opens(path, f"{mode}t", encoding="utf-8")


# ---- words


def show(told: Json) -> None:
    policies = told["policies"]
    click.echo(f"{told['requests']} starts, {CAVEAT}")
    for words in notes(told):
        click.echo(words)
    by = [(LOGGED, told["as_decided"]), *policies.items()]
    table(("policy", "elsewhere", "now", "beside the queue", "next", "later", "no place"), [going(name, one) for name, one in by])
    table(("expects", "wait: mean", "p50", "p95", "not told", "credits: mean", "p50", "p95"), [expected(name, one) for name, one in by])
    compared = ("where it agrees", "started", "expected p50", "expected p95", "really: mean", "p50", "p95")
    table(compared, [agreed(name, one) for name, one in by])
    for name, one in policies.items():
        differing(name, told["decisions"], one["elsewhere"])


def table(heads: Sequence[str], rows: list[tuple[str, ...]]) -> None:
    click.echo()
    print_table(heads, rows, numbers=range(1, len(heads)))


def notes(told: Json) -> Iterator[str]:
    if told["refused"]:
        codes = ", ".join(f"{one['count']} {one['code']}" for one in told["refused"])
        yield f"Refused then, and in no figure below but “no place”: {codes}. Quotas and budgets are not weighed again."
    if told["not_kept"]:
        yield f"{told['not_kept']} more can't be replayed: what they were made from is not kept any more."
    if told["decided_otherwise_now"]:
        yield f"{told['decided_otherwise_now']} come out otherwise by the policy that decided them: this is another version's log."
    if told["left"]:
        yield f"{told['left']} later ones were left out; --most takes more."


def going(name: str, one: Json) -> tuple[str, ...]:
    there = "-" if name == LOGGED else share(one["elsewhere"])
    return (name, there, *(str(number) for number in one["chances"].values()), str(one.get("no_place", "-")))


def share(some: Json) -> str:
    """ "12 (3 %)"."""
    return f"{some['count']} ({100 * some['share']:.0f} %)" if some["share"] is not None else str(some["count"])


def expected(name: str, one: Json) -> tuple[str, ...]:
    wait, cost = one["expected"], one["cost"]
    waits = (seconds(wait[f"{what}_s"]) for what in ("mean", "p50", "p95"))
    return (name, *waits, str(wait["not_known"]), *(credits(cost[what]) for what in ("mean", "p50", "p95")))


def agreed(name: str, one: Json) -> tuple[str, ...]:
    same = one["agreed"]
    expected = (seconds(same["expected"][what]) for what in ("p50_s", "p95_s"))
    real = (seconds(same["real"][what]) for what in ("mean_s", "p50_s", "p95_s"))
    return (name, f"{same['real']['known']} of {same['count']}", *expected, *real)


def differing(name: str, decisions: list[Json], elsewhere: Json) -> None:
    """The newest of those that this policy would have sent elsewhere."""
    found = [one for one in decisions if one["logged"] and place(one["policies"][name]) != place(one["logged"])]
    click.echo()
    if not found:
        click.echo(f"By {name} all would have gone where they went.")
        return
    real = elsewhere["real"]
    waited = f"; where they went half of them really started within {seconds(max(real['p50_s'], 0.1))}" if real["known"] else ""
    more = f" The newest {SHOWN}, all with --json:" if len(found) > SHOWN else ""
    click.echo(f"By {name} elsewhere: {share(elsewhere)}{waited}.{more}")
    heads = ("decision", "at", "cores", "it went to", "expected", "credits", "really", f"by {name}", "expected", "credits")
    print_table(heads, [line(one, one["policies"][name]) for one in found[: -SHOWN - 1 : -1]], numbers=(2, 5, 6, 9))


def line(one: Json, other: Json | None) -> tuple[str, ...]:
    at = moment(one["decided_at"])
    when = f"{at:%d %b %H:%M:%S}" if at else "-"
    return (one["id"], when, str(one["cores"]), *chosen(one["logged"]), seconds(one["waited_s"]), *chosen(other))


def chosen(choice: Json | None) -> tuple[str, str, str]:
    if choice is None:
        return "no place", "-", "-"
    wait = f", {seconds(choice['expected_s'])}" if choice["expected_s"] is not None else ""
    return place(choice), f"{choice['chance']}{wait}", credits(choice["cost"])


def place(choice: Json | None) -> str:
    return plain(f"{choice['centre']}/{choice['partition']}") if choice else ""


def credits(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"
