"""`scnet simulate --decisions`: compares the log of a running hub, or a saved log, with other policies.

The hub only reads its log, page by page; the decisions are made again here. A saved log has one page a line, as JSON,
plain or `.gz`.
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
from ...display.times import second, waited
from ...errors import BadOption, NotFound
from ...simulator.replay import LOGGED, Candidate, Replay, document
from ..app import Json, plain, print_table, readable

SHOWN = 25  # decisions in the table
CAVEAT = """each decided again separately from the facts of that time. Another choice changes nothing for later starts
here, and the real wait elsewhere is unknown: expected and real waits are compared only where a policy agrees with the
choice that was made."""
Tell = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Stretch:
    """The decisions to replay: all of a saved log, else those of some days from `since` on or up to now; at most
    `most`."""

    source: Path | None
    since: datetime | None
    days: float
    most: int


def replayed(
    stretch: Stretch, connect: Callable[[], Client], candidates: list[Candidate], save: Path | None, tell: Tell
) -> Json:
    """Replays the decisions against the candidates and returns the document. Raises NotFound if there is nothing to
    replay."""
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
        return NotFound(
            "No decision was made in that time.", hint="`--days 7` looks further back.", code="no-decisions"
        )
    return NotFound(
        f"The inputs of the {not_kept} decisions of that time are no longer stored.",
        hint=f"Inputs are stored for {page['replay_days']} days (`replay_days` in the federation's page); `--save "
        "FILE` keeps them longer.",
        code="not-kept",
    )


# ---- reading and writing pages


@contextmanager
def asked(stretch: Stretch, connect: Callable[[], Client]) -> Iterator[Iterator[Json]]:
    params: Json | None = {"days": stretch.days}
    if stretch.since:
        params = {
            "since": stretch.since.isoformat(),
            "until": min(stretch.since + timedelta(days=stretch.days), now()).isoformat(),
        }

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
                raise BadOption(
                    f"{path}, line {number}: this is not a saved decision log.", hint="`--save` writes one."
                ) from None
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


def print_replay(told: Json) -> None:
    policies = told["policies"]
    click.echo(f"{told['requests']} starts, {CAVEAT}")
    for words in notes(told):
        click.echo(words)
    by = [(LOGGED, told["as_decided"]), *policies.items()]
    table(
        ("policy", "elsewhere", "now", "beside the queue", "next", "later", "no place"),
        [going(name, one) for name, one in by],
    )
    table(
        ("expects", "wait: mean", "p50", "p95", "unknown", "credits: mean", "p50", "p95"),
        [expected(name, one) for name, one in by],
    )
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
        yield f"Refused then, and counted below only as “no place”: {codes}. Quotas and budgets are not checked again."
    if told["not_kept"]:
        yield f"{told['not_kept']} more can't be replayed: their inputs are no longer stored."
    if told["decided_otherwise_now"]:
        yield (
            f"{told['decided_otherwise_now']} have another result under the policy that decided them: another "
            "version wrote this log."
        )
    if told["left"]:
        yield f"{told['left']} later decisions were left out; a higher --most includes them."


def going(name: str, one: Json) -> tuple[str, ...]:
    there = "-" if name == LOGGED else share(one["elsewhere"])
    return (name, there, *(str(number) for number in one["chances"].values()), str(one.get("no_place", "-")))


def share(some: Json) -> str:
    """Returns "12 (3 %)"."""
    return f"{some['count']} ({100 * some['share']:.0f} %)" if some["share"] is not None else str(some["count"])


def expected(name: str, one: Json) -> tuple[str, ...]:
    wait, cost = one["expected"], one["cost"]
    waits = (waited(wait[f"{what}_s"], none="-") for what in ("mean", "p50", "p95"))
    return (name, *waits, str(wait["not_known"]), *(credits(cost[what]) for what in ("mean", "p50", "p95")))


def agreed(name: str, one: Json) -> tuple[str, ...]:
    same = one["agreed"]
    expected = (waited(same["expected"][what], none="-") for what in ("p50_s", "p95_s"))
    real = (waited(same["real"][what], none="-") for what in ("mean_s", "p50_s", "p95_s"))
    return (name, f"{same['real']['known']} of {same['count']}", *expected, *real)


def differing(name: str, decisions: list[Json], elsewhere: Json) -> None:
    """Prints the newest decisions that this policy would have placed elsewhere."""
    found = [one for one in decisions if one["logged"] and place(one["policies"][name]) != place(one["logged"])]
    click.echo()
    if not found:
        click.echo(f"{name} would have placed all at the same centres.")
        return
    real = elsewhere["real"]
    really = (
        f"; at their real centres half of them started within {waited(max(real['p50_s'], 0.1))}"
        if real["known"]
        else ""
    )
    more = f" The newest {SHOWN}, all with --json:" if len(found) > SHOWN else ""
    click.echo(f"By {name} elsewhere: {share(elsewhere)}{really}.{more}")
    heads = (
        "decision",
        "at",
        "cores",
        "it went to",
        "expected",
        "credits",
        "really",
        f"by {name}",
        "expected",
        "credits",
    )
    print_table(heads, [line(one, one["policies"][name]) for one in found[: -SHOWN - 1 : -1]], numbers=(2, 5, 6, 9))


def line(one: Json, other: Json | None) -> tuple[str, ...]:
    when = second(one["decided_at"], UTC, none="-")
    return (
        one["id"],
        when,
        str(one["cores"]),
        *chosen(one["logged"]),
        waited(one["waited_s"], none="-"),
        *chosen(other),
    )


def chosen(choice: Json | None) -> tuple[str, str, str]:
    if choice is None:
        return "no place", "-", "-"
    wait = f", {waited(choice['expected_s'], none='-')}" if choice["expected_s"] is not None else ""
    return place(choice), f"{choice['chance']}{wait}", credits(choice["cost"])


def place(choice: Json | None) -> str:
    return plain(f"{choice['centre']}/{choice['partition']}") if choice else ""


def credits(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"
