"""A panel's state as HTML and as plain text: what stays in a saved notebook, an export or a terminal.

Pure functions of the dict of `state.py`. Every string of a person or a centre is escaped here; the style sheet is the
live view's own, so that both look alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from ...display.times import NONE, ago, dated_second, read
from ...units import format_duration

Json = dict[str, Any]
CENTRES = ("Centre", "State", "Cores free", "GPUs free", "Queue", "Per core-hour", "Facts")
SESSIONS = ("Session", "Centre", "State", "Time left", "Cost")
CENTRE_NUMBERS = (2, 3, 4, 5, 6)
JOBS = ("Job", "Centre", "State", "Workers", "Cost")


@cache
def style() -> str:
    return (Path(__file__).parent / "panel.css").read_text(encoding="utf-8")


def clock(shown: Json) -> str:
    """ "23 Nov 2026 12:00:05 UTC", the moment this state was true: it may be read another day. "never" before the first answer."""
    return dated_second(shown.get("now"), none="never")


def time_left(expires_at: str | None, now: str | None) -> str:
    end, at = read(expires_at), read(now)
    return format_duration(max(end - at, timedelta())) if end and at else NONE


def free(part: int, whole: int) -> str:
    return f"{part:,} / {whole:,}" if whole else NONE


def html(shown: Json) -> str:
    """A self-contained HTML snapshot, with its time."""
    problem = shown.get("problem")
    parts = [
        f"<style>{style()}</style><div class='scnet{' is-stale' if problem else ''}'>",
        f"<div class='scnet-head'><span class='scnet-summary'>{escape(shown['summary'])}</span>"
        f"<span class='scnet-asof'>as of {clock(shown)}</span></div>",
        f"<div class='scnet-problem'><b>{escape(problem['title'])}</b> {escape(problem['hint'])}</div>" if problem else "",
        _cluster_html(shown) if shown.get("cluster") else "",
        _table("Centres", CENTRES, (_centre_html(row, shown["now"]) for row in shown.get("centres", ())), right=CENTRE_NUMBERS),
        _table("My sessions", SESSIONS, (_session_html(row, shown["now"]) for row in shown.get("sessions", ())), right=(3, 4)),
        *(_balance_html(row, shown["now"]) for row in shown.get("balances", ())),
        "</div>",
    ]
    return "".join(parts)


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> str:
    """A table of cells that are HTML already; nothing at all without rows."""
    kind = {index: " class='num'" for index in right}
    lines = ((f"<th scope='row'>{row[0]}</th>", *(f"<td{kind.get(i, '')}>{cell}</td>" for i, cell in enumerate(row) if i)) for row in rows)
    body = "".join(f"<tr>{''.join(line)}</tr>" for line in lines)
    head = "".join(f"<th scope='col'{kind.get(i, '')}>{escape(text)}</th>" for i, text in enumerate(heads))
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if body else ""


def _state_html(row: Json, extra: str = "") -> str:
    more = f"<span class='scnet-note'>{escape(extra)}</span>" if extra else ""
    return f"<span class='scnet-state {escape(row['tone'])}'><i aria-hidden='true'>{row['icon']}</i>{escape(row['word'])}</span>{more}"


def _centre_html(row: Json, now: str | None) -> Sequence[str]:
    account = f"<span class='scnet-note'>{escape(row['account'])}</span>" if row["account"] else ""
    return (
        escape(row["name"]) + account,
        _state_html(row, row["why"]),
        free(row["cores_free"], row["cores"]),
        free(row["gpus_free"], row["gpus"]),
        f"{row['queued']:,}",
        escape(row["price"]),
        ago(row["taken_at"], now, never=NONE),
    )


def _session_html(row: Json, now: str | None) -> Sequence[str]:
    return (
        f"{escape(row['name'])}<span class='scnet-note'>{escape(row['kind'])}, {escape(row['size'])}</span>",
        escape(row["centre"]),
        _state_html(row, row["detail"]),
        time_left(row["expires_at"], now),
        escape(row["cost"]),
    )


def _balance_html(row: Json, now: str | None) -> str:
    numbers = "".join(
        f"<div class='{one['key']}'><dt>{one['label']}</dt><dd>{escape(one['text'])}</dd>{_age_html(one, now)}</div>"
        for one in row["money"]
    )
    bar = "".join(f"<span class='{one['key']}' style='width:{one['share'] * 100:.2f}%'></span>" for one in row["money"])
    meters = "".join(
        f"<div class='scnet-quota {one['tone']}'><span>{escape(one['text'])}</span>"
        f"<span class='scnet-meter'><span style='width:{one['share'] * 100:.2f}%'></span></span></div>"
        for one in row["quotas"]
    )
    title = f"My allocation <span class='scnet-note'>{escape(row['title'])}, {escape(row['granted'])} credits granted</span>"
    return (
        f"<section class='scnet-money'><h4>{title}</h4><dl>{numbers}</dl><div class='scnet-bar'>{bar}</div>"
        f"<div class='scnet-quotas'>{meters}</div><p class='scnet-pace'>{escape(row['pace'])}</p>"
        f"<div class='scnet-days'>{row['chart']}</div></section>"
    )


def _age_html(one: Json, now: str | None) -> str:
    return f"<dd class='scnet-note'>{ago(one['at'], now, never=NONE)}</dd>" if one["at"] else ""


def _cluster_html(shown: Json) -> str:
    cluster = shown["cluster"]
    rows = (
        (
            escape(job["name"]) + f"<span class='scnet-note'>{escape(job['size'])}</span>",
            escape(job["centre"]),
            _state_html(job, job["detail"]),
            escape(job["workers"]),
            escape(job["cost"]),
        )
        for job in cluster["jobs"]
    )
    link = f"<a href='{escape(cluster['dashboard'])}' target='_blank' rel='noopener'>Dashboard</a>" if cluster["dashboard"] else ""
    notes = "".join(f"<li>{escape(note)}</li>" for note in cluster["notes"])
    return (
        f"<section class='scnet-cluster'><h4>Dask cluster {escape(cluster['name'])} {link}</h4>"
        f"<p class='scnet-why'>{escape(cluster['why'])}</p>{_table('Jobs', JOBS, rows, right=(3, 4))}<ul>{notes}</ul></section>"
    )


def text(shown: Json) -> str:
    """A readable text table of everything, 80 to 100 columns wide."""
    now = shown["now"]
    blocks = [f"SCNet · {shown['summary']} · as of {clock(shown)}"]
    if shown.get("problem"):
        blocks.append(f"! {shown['problem']['title']} {shown['problem']['hint']}")
    if shown.get("cluster"):
        blocks.append(_cluster_text(shown["cluster"]))
    centres = [_centre_text(row, now) for row in shown.get("centres", ())]
    blocks.append(columns(CENTRES, centres, right=CENTRE_NUMBERS))
    sessions = [_session_text(row, now) for row in shown.get("sessions", ())]
    blocks.append(columns((*SESSIONS, ""), sessions, right=(3, 4)))
    blocks += [_balance_text(row) for row in shown.get("balances", ())]
    return "\n\n".join(filter(None, blocks))


def columns(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Aligned columns under their heads; "" without rows."""
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]
    lines = [
        "  ".join(cell.rjust(width) if i in right else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in (heads, *rows)
    ]
    return "\n".join(line.rstrip() for line in lines)


def _centre_text(row: Json, now: str | None) -> Sequence[str]:
    cores, gpus = free(row["cores_free"], row["cores"]), free(row["gpus_free"], row["gpus"])
    name = f"{row['name']} ({row['account']})" if row["account"] else row["name"]
    return name, f"{row['icon']} {row['word']}", cores, gpus, f"{row['queued']:,}", row["price"], ago(row["taken_at"], now, never=NONE)


def _session_text(row: Json, now: str | None) -> Sequence[str]:
    name, word = f"{row['name']} ({row['kind']})", f"{row['icon']} {row['word']}"
    return name, row["centre"], word, time_left(row["expires_at"], now), row["cost"], row["detail"]


def _balance_text(row: Json) -> str:
    money = ", ".join(f"{one['label'].lower()} {one['text']}" for one in row["money"])
    quotas = "; ".join(one["text"] for one in row["quotas"])
    lines = (f"{row['title']}: {money} of {row['granted']} credits", quotas and f"In use: {quotas}", row["pace"].replace(". ", ".\n"))
    return "\n".join(filter(None, lines))


def _cluster_text(cluster: Json) -> str:
    rows = [(j["name"], j["centre"], f"{j['icon']} {j['word']}", j["workers"], j["cost"], j["detail"]) for j in cluster["jobs"]]
    dashboard = f"Dashboard: {cluster['dashboard']}" if cluster["dashboard"] else ""
    head = f"Dask cluster {cluster['name']}"
    return "\n".join(filter(None, (head, cluster["why"], dashboard, columns((*JOBS, ""), rows, right=(3, 4)), *cluster["notes"])))
