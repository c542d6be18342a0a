"""Plots waits as plain SVG: for each policy, the share of requests that had started after each time.

Both axes are logarithmic: time, and the share that still waits, so that the step from 90 to 99 % is as high as that
from none to 90 %. Policies differ in the few requests that wait for hours. Written by hand, so that no plotting library
is needed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 920, 500
LEFT, RIGHT, TOP, BOTTOM = 64, 210, 48, 56
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
# Okabe and Ito: told apart by all
COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#555555",
    "#000000",
)
DASHES = ("", "7 3", "2 3", "9 3 2 3")
SHARES = (0, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)  # marked policies; further ones are drawn like the last
POINTS = 240
LABEL_APART = 16
BOLD = ' font-weight="bold"'
OURS = "scnet"  # drawn last and bold


def svg(waits: Mapping[str, Sequence[float]], title: str) -> str:
    """Draws the plot. `waits` by policy, each sorted, in seconds."""
    drawn = sorted(enumerate(waits.items()), key=lambda entry: entry[1][0] == OURS)
    lines = [_line(name, ordered, number) for number, (name, ordered) in drawn]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            'aria-labelledby="title" '
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
    return round(HEIGHT - BOTTOM - _nines(share) / _nines(SHARES[-1]) * (HEIGHT - TOP - BOTTOM), 1)


def _nines(share: float) -> float:
    """Returns 1 for 90 %, 2 for 99 %."""
    return -math.log10(1 - min(share, SHARES[-1]))


def _grid() -> list[str]:
    made = []
    for seconds, words in TIMES:
        x = across(seconds)
        made.append(
            f'<path d="M{x} {up(0)}V{TOP}" stroke="#ddd"/><text x="{x}" y="{up(0) + 18}" '
            f'text-anchor="middle">{words}</text>'
        )
    for share in SHARES:
        y = up(share)
        made.append(f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        made.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{100 * share:g} %</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    return [
        *made,
        f'<text x="{middle}" y="{HEIGHT - 14}" text-anchor="middle">time since the click; upwards: requests that '
        "have started</text>",
    ]


def _line(name: str, ordered: Sequence[float], number: int) -> str:
    shares = [1 - 10 ** (-_nines(SHARES[-1]) * part / POINTS) for part in range(1, POINTS + 1)]
    path = f"M{across(FIRST)} {up(0)}"
    for share in shares if ordered else ():
        path += f"L{across(ordered[max(0, math.ceil(share * len(ordered)) - 1)])} {up(share)}"
    return f'<path d="{path}" fill="none" {_stroke(name, number, 2)}/>'


def _names(waits: Mapping[str, Sequence[float]]) -> list[str]:
    """Draws the names, best first, by the wait that one in twenty exceeds."""
    order = sorted(enumerate(waits.items()), key=lambda entry: _p95(entry[1][1]))
    x, y = WIDTH - RIGHT + 16, TOP + 8
    made = [f'<text x="{x}" y="{y}" fill="#555">95 % start within</text>']
    for place, (number, (name, ordered)) in enumerate(order, 1):
        at = y + place * (LABEL_APART + 6)
        made.append(
            f'<path d="M{x} {at - 4}h22" {_stroke(name, number, 3)}/>'
            f'<text x="{x + 28}" y="{at}"{BOLD if name == OURS else ""}>{escape(name)}: {_words(_p95(ordered))}</text>'
        )
    return made


def _stroke(name: str, number: int, width: int) -> str:
    """Returns the stroke of a policy: by colour and dash; the product's is wider too."""
    if name == OURS:
        return f'stroke="{COLOURS[number % len(COLOURS)]}" stroke-width="{width + 2}"'
    return (
        f'stroke="{COLOURS[number % len(COLOURS)]}" stroke-width="{width}" '
        f'stroke-dasharray="{DASHES[number % len(DASHES)]}"'
    )


def _p95(ordered: Sequence[float]) -> float:
    return ordered[max(0, math.ceil(0.95 * len(ordered)) - 1)] if ordered else 0.0


def _words(seconds: float) -> str:
    """Returns "18 s", "28 min", "1.8 h"."""
    for least, size, word in ((5400, 3600, "h"), (120, 60, "min")):
        if seconds >= least:
            value = seconds / size
            return f"{value:.1f} {word}" if word == "h" and value < 9.95 else f"{value:.0f} {word}"
    return f"{seconds:.0f} s"
