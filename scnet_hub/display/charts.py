"""Draws two small charts as SVG for an HTML page: bars by day, and the balance over time. Each also says its content in
words.

The charts take the page's colours by CSS variables, so they work in dark mode and in print, and they need no script.
This is why they come from no library: pygal, the lightest, brings a style sheet and a script of its own.

    --chart-bar      what is counted            --chart-soft   an estimate beside it
    --chart-line     the grid                   text is in the colour of the text around
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from html import escape

HEIGHT = 190
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 12, 26
LABEL = 62  # the width of a label of the time axis, with its margins
MONTHS = 200  # days, over which the time axis counts in months
STEPS = (1, 2, 2.5, 5, 10)
BAR, SOFT, LINE = "fill:var(--chart-bar,#0b6b78)", "fill:var(--chart-soft,#8cc3ca)", "stroke:var(--chart-line,#d5dce0)"
INK = "stroke:var(--chart-bar,#0b6b78)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One day; `soft` is drawn on top of `value`."""

    label: str
    value: float
    soft: float = 0.0
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """The amount that was, or will be, left at that moment."""

    at: datetime
    value: float
    mark: str = ""  # what happens at that moment, in words


def bars(
    title: str, description: str, shown: Sequence[Bar], *, name: str = "chart", width: int = 960, height: int = HEIGHT
) -> str:
    """Draws a bar a day; returns "" without any bars. `name` identifies the chart on its page."""
    if not shown:
        return ""
    most, step = scale(max(max(one.value, 0) + max(one.soft, 0) for one in shown))
    floor = height - BOTTOM
    wide = (width - LEFT - RIGHT) / len(shown)
    made = _grid(most, step, width, height)
    every = max(1, math.ceil(LABEL / wide))
    for place, one in enumerate(shown):
        x, bar = LEFT + place * wide, max(1.0, wide * 0.72)
        high, more = (max(part, 0) / most * (floor - TOP) for part in (one.value, one.soft))
        left = f"{x + (wide - bar) / 2:.1f}"
        parts = (
            f'<rect x="{left}" y="{floor - high:.1f}" width="{bar:.1f}" height="{high:.1f}" style="{BAR}"/>'
            if high
            else ""
        )
        if more:
            parts += (
                f'<rect x="{left}" y="{floor - high - more:.1f}" width="{bar:.1f}" height="{more:.1f}" style="{SOFT}"/>'
            )
        made.append(f"<g><title>{escape(one.words or f'{one.label}: {number(one.value)}')}</title>")
        made.append(
            f'<rect x="{x:.1f}" y="{TOP}" width="{wide:.1f}" height="{floor - TOP}" fill="none" '
            f'pointer-events="all"/>{parts}</g>'
        )
        if place % every == 0 and x + LABEL / 2 < width:
            made.append(_text(x + wide / 2, height - 8, one.label, "middle"))
    return _svg(name, title, description, made, width, height)


def left_over(
    title: str,
    description: str,
    past: Sequence[Left],
    ahead: Sequence[Left],
    zone: tzinfo = UTC,
    *,
    name: str = "left",
    width: int = 960,
) -> str:
    """Draws the balance: solid for the past, dashed for the future; each point of `ahead` that has a mark is labelled.
    Returns "" without a past."""
    points = [*past, *ahead]
    if not past or points[0].at >= points[-1].at:
        return ""
    most, step = scale(max(max(one.value, 0) for one in points))
    first, last, floor = past[0].at, points[-1].at, HEIGHT - BOTTOM

    def across(at: datetime) -> float:
        return LEFT + (at - first) / (last - first) * (width - LEFT - RIGHT)

    def up(value: float) -> float:
        return floor - max(value, 0) / most * (floor - TOP)

    def path(some: Sequence[Left]) -> str:
        return "M" + "L".join(f"{across(one.at):.1f} {up(one.value):.1f}" for one in some)

    made = _grid(most, step, width, HEIGHT)
    made.append(f'<path d="{path(past)}" fill="none" style="{INK}" stroke-width="2.5" stroke-linejoin="round"/>')
    if ahead:
        now = across(past[-1].at)
        made.append(f'<path d="M{now:.1f} {TOP}V{floor}" style="{LINE}" stroke-width="1.5"/>')
        made.append(
            f'<path d="{path([past[-1], *ahead])}" fill="none" style="{INK}" stroke-width="2" stroke-dasharray="5 4"/>'
        )
    for one in ahead:
        if one.mark:
            made.append(f"<g><title>{escape(one.mark)}</title>")
            made.append(f'<circle cx="{across(one.at):.1f}" cy="{up(one.value):.1f}" r="4.5" style="{BAR}"/></g>')
    for at, label in _dates(first, last, zone, width):
        x = across(at)
        made.append(f'<path d="M{x:.1f} {floor}v4" style="{LINE}"/>')
        made.append(_text(x, HEIGHT - 8, label, "end" if x + LABEL / 2 > width else "middle"))
    return _svg(name, title, description, made, width, HEIGHT)


def _dates(first: datetime, last: datetime, zone: tzinfo, width: int) -> list[tuple[datetime, str]]:
    """Returns the beginnings of days between the two times, or of months if there are too many days, with their labels;
    if there are none, the first moment."""
    most = max(2, int((width - LEFT - RIGHT) / (LABEL * 1.8)))
    begin, end = first.astimezone(zone).date(), last.astimezone(zone).date()
    years = (end - begin).days > MONTHS
    if years:
        months = range(begin.year * 12 + begin.month, end.year * 12 + end.month)
        starts = [date(month // 12, month % 12 + 1, 1) for month in months]
    else:
        starts = [begin + timedelta(days=one + 1) for one in range((end - begin).days)]
    shown = [
        (datetime.combine(at, time(), zone), day(at, years=years))
        for at in starts[:: max(1, math.ceil(len(starts) / most))]
    ]
    return shown or [(first, day(begin))]


def day(at: date, *, years: bool = False) -> str:
    """Returns "3 Nov", or with `years` "Nov 2026"."""
    return f"{at:%b %Y}" if years else f"{at.day} {at:%b}"


def scale(most: float) -> tuple[float, float]:
    """Returns (the top of the axis, the step of its grid): round numbers, three or four steps."""
    if not most > 0:
        return 1.0, 0.5
    least = most / 4
    power = 10.0 ** math.floor(math.log10(least))
    step = next(one * power for one in STEPS if one * power >= least * 0.999)
    return math.ceil(most / step - 1e-9) * step, step


def number(value: float) -> str:
    """Returns the number in its shortest form: "2.5", "1,200", "0.04", "3 M"."""
    for size, word in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if abs(value) >= size:
            value, end = value / (size if size > 1e4 else 1e3), word
            return f"{value:,.4g}{end}"
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _grid(most: float, step: float, width: int, height: int) -> list[str]:
    floor = height - BOTTOM
    made = []
    for place in range(round(most / step) + 1):
        y = floor - place * step / most * (floor - TOP)
        made.append(
            f'<path d="M{LEFT} {y:.1f}H{width - RIGHT}" style="{LINE}"/>'
            + _text(LEFT - 7, y + 4, number(place * step), "end")
        )
    return made


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor" '
        f'fill-opacity="0.75">{escape(words)}</text>'
    )


def _svg(name: str, title: str, description: str, made: Sequence[str], width: int, height: int) -> str:
    name = escape(name)
    return (
        f'<svg class="scnet-chart" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-labelledby="{name}-title {name}-words" font-family="inherit" font-size="12" '
        'style="max-width:100%;height:auto">'
        f'<title id="{name}-title">{escape(title)}</title><desc '
        f'id="{name}-words">{escape(description)}</desc>{"".join(made)}</svg>'
    )
