"""Tests that charts are well-formed, describe their content in words, stay inside their frame, and escape what a person
typed."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta

import pytest

from scnet_hub.display.charts import Bar, Left, bars, left_over, number, scale

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOSTILE = '"><script>alert(1)</script>'


def read(text: str) -> ET.Element:
    root = ET.fromstring(text)
    width, height = (float(part) for part in root.attrib["viewBox"].split()[2:])
    for one in root.iter("rect"):
        assert float(one.attrib["x"]) >= 0 and float(one.attrib["x"]) + float(one.attrib["width"]) <= width + 0.1
        assert float(one.attrib["y"]) >= 0 and float(one.attrib["y"]) + float(one.attrib["height"]) <= height + 0.1
    named = root.attrib["aria-labelledby"].split()
    assert {one.attrib.get("id") for one in root if one.tag in ("title", "desc")} == {*named}
    return root


@pytest.mark.parametrize("width", [340, 960])
@pytest.mark.parametrize("count", [1, 14, 31, 366])
def test_bars_are_as_high_as_what_they_count(width: int, count: int) -> None:
    root = read(
        bars("Spent", "By day", [Bar(label=f"{place}", value=place, soft=1) for place in range(count)], width=width)
    )
    drawn = [float(one.attrib["height"]) for one in root.iter("rect") if "chart-bar" in one.attrib.get("style", "")]
    assert drawn == sorted(drawn) and len(drawn) == count - 1
    assert len({*(one.attrib["x"] for one in root.iter("text"))}) <= width / 40


def test_what_is_typed_is_text_and_what_was_taken_back_is_no_bar() -> None:
    text = bars(HOSTILE, HOSTILE, [Bar(label=HOSTILE, value=-3, words=HOSTILE)])
    assert "<script" not in text and HOSTILE in "".join(read(text).itertext())
    assert bars("a", "b", []) == "" and left_over("a", "b", [], []) == ""


def test_what_is_left_goes_on_dashed_to_where_it_ends() -> None:
    past = [Left(at=NOW - timedelta(days=day), value=100 - day) for day in range(5, -1, -1)]
    ahead = [Left(at=NOW, value=100), Left(at=NOW + timedelta(days=9), value=0, mark=f"lot {HOSTILE} ends")]
    root = read(left_over("Left", "words", past, ahead))
    dashed = [one.attrib["d"] for one in root.iter("path") if "stroke-dasharray" in one.attrib]
    assert len(dashed) == 1 and dashed[0].endswith("950.0 164.0")
    assert [one.text for one in root.iter("title")][-1] == f"lot {HOSTILE} ends"


@pytest.mark.parametrize(
    ("days", "dates"),
    [(0.2, "23 Nov"), (2.4, "24 Nov, 25 Nov"), (9, "24 Nov, 26 Nov, 28 Nov, 30 Nov, 2 Dec"),
     (366, "Dec 2026, Feb 2027, Apr 2027, Jun 2027, Aug 2027, Oct 2027")],
)  # fmt: skip
def test_each_date_stands_once_where_it_begins(days: float, dates: str) -> None:
    past, ahead = [Left(at=NOW, value=9)], [Left(at=NOW + timedelta(days=days), value=0)]
    for width in (340, 960):
        words = [
            one.text or ""
            for one in read(left_over("a", "b", past, ahead, width=width)).iter("text")
            if one.attrib["y"] == "182.0"
        ]
        assert words[0] == dates.split(", ")[0] and len({*words}) == len(words)
    assert ", ".join(words) == dates


@pytest.mark.parametrize(
    ("most", "top"), [(0, 1.0), (0.07, 0.08), (1, 1), (7.5, 8), (90, 100), (1001, 1250), (float("nan"), 1.0)]
)
def test_the_axis_ends_at_a_round_number(most: float, top: float) -> None:
    assert scale(most)[0] == pytest.approx(top)


@pytest.mark.parametrize(
    ("value", "words"), [(0, "0"), (0.04, "0.04"), (2.5, "2.5"), (1200, "1,200"), (45_000, "45 k"), (2.5e6, "2.5 M")]
)
def test_numbers_are_short(value: float, words: str) -> None:
    assert number(value) == words
