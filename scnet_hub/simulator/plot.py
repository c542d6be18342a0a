"""A plot of waits as plain SVG: for each policy, what share of requests had started after so long. The axis of time is logarithmic.

Written by hand, so that no plotting library is needed; read best at the top, where the few that wait for hours are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 900, 480
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 48, 56
FIRST, LAST = 0.8, 3 * 86400.0
TIMES = (
    (1, "1 s"),
    (10, "10 s"),
    (60, "1 min"),
    (600, "10 min"),
    (3600, "1 h"),
    (6 * 3600, "6 h"),
    (86400, "1 day"),
    (3 * 86400, "3 days"),
)
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555", "#000000")  # Okabe and Ito: told apart by all
DASHES = ("", "7 3", "2 3", "9 3 2 3")
POINTS = 240
LABEL_APART = 16


def svg(waits: Mapping[str, Sequence[float]], title: str) -> str:
    """`waits` by policy, each in order, in seconds."""
    lines = [_line(ordered, number) for number, ordered in enumerate(waits.values())]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="title" '
            'font-family="system-ui, sans-serif" font-size="13">',
            f'<title id="title">{escape(title)}</title>',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
            f'<text x="{LEFT}" y="24" font-size="16">{escape(title)}</text>',
            *_grid(),
            *lines,
            *_names(waits),
            "</svg>\n",
        ]
    )


def across(wait: float) -> float:
    share = (math.log(min(max(wait, FIRST), LAST)) - math.log(FIRST)) / (math.log(LAST) - math.log(FIRST))
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def up(share: float) -> float:
    return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def _grid() -> list[str]:
    made = []
    for seconds, words in TIMES:
        x = across(seconds)
        made.append(f'<path d="M{x} {up(0)}V{up(1)}" stroke="#ddd"/><text x="{x}" y="{up(0) + 18}" text-anchor="middle">{words}</text>')
    for percent in (0, 25, 50, 75, 90, 100):
        y = up(percent / 100)
        made.append(
            f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="#ddd"/><text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{percent} %</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    return [
        *made,
        f'<text x="{middle}" y="{HEIGHT - 14}" text-anchor="middle">from click to start; up: requests that had started by then</text>',
    ]


def _line(ordered: Sequence[float], number: int) -> str:
    shares = [part / POINTS for part in range(1, POINTS + 1)]
    path = f"M{across(FIRST)} {up(0)}"
    for share in shares if ordered else ():
        path += f"L{across(ordered[max(0, math.ceil(share * len(ordered)) - 1)])} {up(share)}"
    return f'<path d="{path}" fill="none" stroke="{_colour(number)}" stroke-width="2" stroke-dasharray="{_dash(number)}"/>'


def _names(waits: Mapping[str, Sequence[float]]) -> list[str]:
    """Best first, by the wait that one in twenty exceeds."""
    order = sorted(enumerate(waits.items()), key=lambda entry: _p95(entry[1][1]))
    x, y = WIDTH - RIGHT + 16, TOP + 8
    made = [f'<text x="{x}" y="{y}" fill="#555">95 % start within</text>']
    for place, (number, (name, ordered)) in enumerate(order, 1):
        at = y + place * (LABEL_APART + 6)
        made.append(
            f'<path d="M{x} {at - 4}h22" stroke="{_colour(number)}" stroke-width="3" stroke-dasharray="{_dash(number)}"/>'
            f'<text x="{x + 28}" y="{at}">{escape(name)}: {_words(_p95(ordered))}</text>'
        )
    return made


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _dash(number: int) -> str:
    return DASHES[number % len(DASHES)]


def _p95(ordered: Sequence[float]) -> float:
    return ordered[max(0, math.ceil(0.95 * len(ordered)) - 1)] if ordered else 0.0


def _words(seconds: float) -> str:
    for least, size, word in ((7200, 3600, "h"), (120, 60, "min")):
        if seconds >= least:
            return f"{seconds / size:.0f} {word}"
    return f"{seconds:.0f} s"
