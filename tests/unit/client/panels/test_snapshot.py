"""Tests the HTML and text that stay without a kernel: complete, dated, escaped, self-contained."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from scnet_hub.client.panels import snapshot
from scnet_hub.client.panels.overview import OverviewPanel, state
from scnet_hub.client.panels.state import NOTHING, with_problem
from scnet_hub.errors import BrokerError

from . import samples as s

EVIL = "<script>alert('x')</script>\" onload=\"x"


def page_of(shown):
    return snapshot.html(shown, OverviewPanel.parts)


def words_of(shown):
    return snapshot.text(shown, OverviewPanel.parts)


def full():
    return state(s.centres(), s.sessions(), [s.balance()], s.NOW)


class Balance(HTMLParser):
    """Fails on a tag that is closed without having been opened."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_well_formed_dated_and_loads_nothing():
    page = page_of(full())
    checker = Balance()
    checker.feed(page)
    assert checker.open == []
    assert "as of 23 Nov 2026 12:00:05 UTC" in page
    assert not re.search(r"https?://|url\(|@import|src=", page)


def test_html_tables_have_captions_and_scopes():
    page = page_of(full())
    assert page.count("<caption>") == 2
    assert page.count("scope='row'") == 3 + 4
    assert "<th scope='col' class='num'>Cores free</th>" in page


def test_a_missing_account_is_in_both_kinds_of_snapshot():
    shown = state([s.centre(), s.centre(id="beta", name="Beta", identity="certificate", account="")], [], [], s.NOW)
    assert "Beta<span class='scnet-note'>University of Alpha · no account linked</span>" in page_of(shown)
    assert words_of(shown).count("no account linked") == 1 and "Beta (no account linked)" in words_of(shown)


def test_every_name_of_a_person_or_centre_is_escaped():
    page = page_of(
        with_problem(
            state(
                [s.centre(name=EVIL, why=EVIL, state="stale")],
                [s.session(name=EVIL, centre_name=EVIL, state="queued", reason=EVIL)],
                [s.balance(title=EVIL)],
                s.NOW,
            ),
            BrokerError(EVIL, hint=EVIL),
        )
    )
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 8
    assert '" onload' not in page


def test_a_problem_is_said_first_and_the_rest_is_greyed_not_blanked():
    page = page_of(with_problem(full(), BrokerError("The broker does not answer.", hint="Try again.")))
    assert "is-stale" in page.split(">", 2)[1] or "class='scnet is-stale'" in page
    assert "The broker does not answer." in page and "Alpha" in page


def test_text_is_a_table_with_aligned_numbers():
    lines = words_of(full()).splitlines()
    assert lines[0].startswith("SCNet · 2 of 3 centres up") and lines[0].endswith("as of 23 Nov 2026 12:00:05 UTC")
    head, alpha, beta, _ = lines[2:6]
    end = head.index("Cores free") + len("Cores free")
    assert (alpha[:end].split()[-3:], beta[:end].split()[-3:]) == (["12", "/", "64"], ["490", "/", "1,280"])
    assert (
        lines[-4]
        == "Monsoon ensembles: settled 412.50, in flight 36.40, held 88.10, available 463.00 of 1,000.00 credits"
    )
    assert max(map(len, lines)) <= 110


def test_nothing_known_yet_is_short():
    assert words_of(NOTHING) == "SCNet · as of never"
    assert words_of(state([], [], [], s.NOW)) == "SCNet · no centres · no sessions · as of 23 Nov 2026 12:00:05 UTC"
    assert "<table" not in page_of(NOTHING)


def test_ages_and_times_left():
    assert snapshot.time_left(s.iso(2710), s.iso(0)) == "45 min"
    assert snapshot.time_left(s.iso(-5), s.iso(0)) == "now"


def test_the_pace_and_the_days_are_in_the_snapshot():
    page, words = page_of(full()), words_of(full())
    assert "<svg" in page and "<dd class='scnet-note'>25 min ago</dd>" in page
    assert (
        "credits run out on 2026-12-08 at this rate." in page and "credits run out on 2026-12-08 at this rate." in words
    )
