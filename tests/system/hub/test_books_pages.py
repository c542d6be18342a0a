"""The pages about credits on a real hub over the real broker: usage, projects, settlement, statements; charges are done
again by hand."""

from __future__ import annotations

import csv
import html
import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from scnet_hub.display import times
from scnet_hub.hub.views import formats, usage
from scnet_hub.units import credits
from tests.builders.chromium import chromium_page
from tests.system.hub.books import HOSTILE, MORE, seed, settle, suspend
from tests.system.hub.together import Together
from tests.unit.ledger.test_pricing import by_hand

RUN = re.compile(r'<span class="scnet-run-cost">([\d.,-]+)<(.*?)</li>', re.DOTALL)
FORMULA = re.compile(r'(<em>taken back</em> )?<code class="scnet-formula">(.*?)</code>', re.DOTALL)


@pytest.fixture(scope="module")
def together() -> Iterator[Together]:
    made = Together(Path(tempfile.mkdtemp(prefix="sc-")), MORE)
    made.start()
    seed(made)
    settle(made)
    yield made
    made.stop()
    shutil.rmtree(made.home, ignore_errors=True)


def post(client: httpx.Client, path: str, **data: str) -> httpx.Response:
    return client.post(path, data={"_xsrf": client.cookies["_xsrf"], **data}, headers={"Sec-Fetch-Site": "same-origin"})


# ---- words


def test_a_month_is_asked_for_from_its_first_day_to_the_next_months() -> None:
    assert usage.span("2026-12") == {"since": "2026-12-01", "until": "2027-01-01"} and usage.span("") == {}
    assert usage.after("2026-01", -1) == "2025-12"


def test_a_line_of_the_table_is_text_in_a_spreadsheet() -> None:
    row = dict.fromkeys(usage.COLUMNS, "") | {
        "name": "=HYPERLINK(1)",
        "amount": -2.5,
        "formula": "(1 core x 1) credits/h x 9000 s",
    }
    [read] = csv.DictReader(io.StringIO(usage.as_csv([row])))
    assert (read["name"], read["amount"], read["formula"]) == ("'=HYPERLINK(1)", "-2.500000", row["formula"])


def test_amounts_keep_their_decimals_and_an_unknown_zone_is_utc() -> None:
    assert [formats.exact(one) for one in (5.166667, 0.5, 1200, -2)] == ["5.166667", "0.50", "1,200.00", "-2.00"]
    assert times.minute("2026-11-23T20:00:00.000Z", formats.zone_of("Nowhere/Else")) == "23 Nov 20:00"
    assert times.minute("2026-11-23T20:00:00.000Z", formats.zone_of("Asia/Shanghai")) == "24 Nov 04:00"


# ---- usage


def test_a_person_can_do_each_charge_again_from_the_page(together: Together) -> None:
    with closing(together.log_in("ada")) as ada:
        page = ada.get("usage").text
        months = [page, ada.get(f"usage?month={re.findall(r'usage.month=(2[0-9-]+)', page)[0]}").text]
    runs = [run for text in months for run in RUN.findall(text)]
    again = 0
    for charged, rest in runs:
        made = [(back, html.unescape(formula)) for back, formula in FORMULA.findall(rest)]
        paid = [by_hand(formula).micros for back, formula in made if not back]
        taken = any(back for back, _ in made)
        again += len(paid)
        assert credits(charged.replace(",", "")).micros == (0 if taken else sum(paid)), rest
    assert again >= 12 and any("taken back" in rest for _, rest in runs)


def test_the_page_shows_ones_own_and_what_was_typed_as_text(together: Together) -> None:
    with closing(together.log_in("mary")) as mary:
        page = mary.get("usage")
        assert page.status_code == 200 and page.headers["cache-control"] == "no-store"
        assert "<script>alert" not in page.text and "&lt;script&gt;alert(1)" in page.text
        assert 'href="/hub/usage" aria-current="page"' in page.text and 'href="/hub/settlement"' not in page.text
        assert "run-00" not in page.text  # ada's
        for text in (
            "Settled",
            "In flight",
            "Held",
            "Available",
            "credits a day",
            "Runs out",
            "newest charge",
            "times of Asia/Shanghai",
        ):
            assert text in page.text
        odd = mary.get("usage", params={"month": HOSTILE, "project": HOSTILE})
        assert odd.status_code == 200 and HOSTILE not in odd.text
        empty = mary.get("usage?month=2020-01")
        assert empty.status_code == 200 and "No usage in 2020-01." in empty.text
        table = mary.get("usage.csv")
        assert (
            table.headers["content-type"].startswith("text/csv")
            and "attachment" in table.headers["content-disposition"]
        )
        rows = [*csv.DictReader(io.StringIO(table.text))]
        assert {row["person"] for row in rows} == {"mary"} and sum(float(row["amount"]) for row in rows) > 0
        assert len(mary.get("usage.csv?project=climate").text.splitlines()) == 1
    stranger = httpx.get(f"{together.url}usage", trust_env=False)
    assert "/hub/login" in stranger.headers["location"]


# ---- a project


def test_a_project_is_asked_for_and_answered_on_its_page(together: Together) -> None:
    with (
        closing(together.log_in("ada")) as ada,
        closing(together.log_in("olga")) as olga,
        closing(together.log_in("mary")) as mary,
    ):
        assert "Request an allocation" not in mary.get("project?id=tides").text
        wrong = post(ada, "project", project="tides", do="ask", amount="many", words=f"more {HOSTILE}")
        assert (
            wrong.status_code == 400
            and "is not a valid amount of credits" in wrong.text
            and "&lt;script&gt;" in wrong.text
        )
        assert (
            'aria-invalid="true" aria-describedby="wrong-ask" autofocus' in wrong.text
            and 'id="wrong-ask" role="alert"' in wrong.text
        )
        # no token of the page
        assert ada.post("project", data={"project": "tides", "do": "ask", "amount": "5"}).status_code == 403
        asked = post(
            ada,
            "project",
            project="tides",
            do="ask",
            amount="25",
            words="for spring",
            ends_at="2027-06-01",
            centres="alpha, beta",
        )
        assert (
            asked.status_code == 200 and "25.00 credits: waits for an answer" in asked.text and "Withdraw" in asked.text
        )
        [wanted] = re.findall(r'id="allocation-(\w+)"[^>]*>\s*<h3>25.00', asked.text)
        assert post(ada, "project", project="tides", do="approve", allocation=wanted, amount="25").status_code == 403
        refused = post(olga, "project", project="tides", do="decline", allocation=wanted, words="")
        assert refused.status_code == 400 and "Give a reason for declining" in refused.text
        assert f'aria-describedby="wrong-{wanted}" autofocus' in refused.text
        given = post(olga, "project", project="tides", do="approve", allocation=wanted, amount="20", words="less")
        assert "20.00 credits: active" in given.text and "Answer by olga" in given.text
        page = ada.get("project?id=tides").text
        assert (
            HOSTILE not in page
            and "135 % used" in page
            and ("end unspent on" in page or "No credits are left on" in page)
        )
        assert "In use now:" in page and "times of Asia/Shanghai" in page
        idle = ada.get("project?id=climate").text
        assert idle.count("<figure") == 1 and "100.00 will be left on" in idle
        # it names none
        assert "by all its people" not in idle and "Only the project's PI and managers see" in idle.replace(
            "&#39;", "'"
        )
        for lost in ("other", HOSTILE, "", "../me"):
            nothing = ada.get("project", params={"id": lost})
            assert (
                nothing.status_code == 404
                and "The page Usage lists your projects." in nothing.text
                and "`scnet" not in nothing.text
            )
        assert post(ada, "project", project="../me", do="ask", amount="1").status_code == 404


# ---- settlement, last: a month is closed


def test_operators_close_a_month_and_its_members_answer(together: Together, tmp_path: Path) -> None:
    suspend(together)
    with (
        closing(together.log_in("olga")) as olga,
        closing(together.log_in("alan")) as alan,
        closing(together.log_in("ada")) as ada,
    ):
        assert (
            ada.get("settlement").status_code == 403
            and post(ada, "settlement", do="close", at="2026-10").status_code == 403
        )
        board = olga.get("settlement")
        assert board.status_code == 200 and "sums to zero" in board.text and HOSTILE not in board.text
        assert "Centres that have run jobs" in board.text
        [record] = re.findall(r'id="record-(\d+)"', board.text)
        assert 'value="drop"' in board.text and 'value="believe"' not in board.text, (
            "it is nobody's, so nobody can be charged"
        )
        wordless = post(olga, "settlement", do="drop", at=record, words=" ")
        assert wordless.status_code == 400 and "Give a reason for the decision" in wordless.text
        dropped = post(olga, "settlement", do="drop", at=record, words="a test of the centre's own")
        assert dropped.status_code == 200 and f'id="record-{record}"' not in dropped.text
        assert post(olga, "settlement", do="drop", at=HOSTILE, words="x").status_code == 400
        [month] = re.findall(r"Close (2\d{3}-\d\d)…", board.text)
        hindered = post(olga, "settlement", do="close", at=month)
        assert hindered.status_code == 422 and f"<strong>{month} cannot be closed:</strong>" in hindered.text
        # on the board and at the form
        assert hindered.text.count("alpha is not complete") == 2 and "--excuse" not in hindered.text
        closed = post(
            olga, "settlement", do="close", at=month, **{"excuse-alpha": "sent by mail", "excuse-beta": "lost"}
        )
        assert (
            f"{month}: closed" in closed.text
            and "Closed without beta: lost" in closed.text
            and "by olga" in closed.text
        )
        assert "University of Alpha" in closed.text and "ministry pays" in closed.text

        assert (
            "Statements of your institution" in alan.get("usage").text
            and "Statements of your institution" not in ada.get("usage").text
        )
        name = f"{month}/GRANT/alpha"
        listed = alan.get("statements").text
        assert name.replace("/", "%2F") in listed.replace("/GRANT/", "%2FGRANT%2F")
        assert "19.20 credits" in listed and "15.36 CNY" in listed and "Days of Asia/Shanghai" in listed
        assert 'href="/hub/usage" aria-current="page"' in listed
        hidden = ada.get("statement", params={"name": name})
        assert hidden.status_code == 404 and "The page Statements lists" in hidden.text
        pays = olga.get("statement", params={"name": f"{month}/GRANT/ministry"}).text
        assert re.search(r"To pay, CNY</dt>\s*<dd>23\.04 ", pays)
        statement = alan.get("statement", params={"name": name})
        assert (
            statement.status_code == 200 and "To receive, CNY" in statement.text and ">Settled<" not in statement.text
        )
        wordless = post(alan, "statement", name=name, do="dispute", words=" ")
        assert wordless.status_code == 400 and "Give a reason for disputing" in wordless.text
        look(together, Path(os.environ.get("SCNET_PICTURES") or tmp_path), alan.cookies, name)
        disputed = post(alan, "statement", name=name, do="dispute", words=f"too little {HOSTILE}")
        assert "disputed" in disputed.text and HOSTILE not in disputed.text
        assert "too little" in olga.get("settlement").text
        accepted = post(alan, "statement", name=name, do="accept")
        assert "accepted" in accepted.text and accepted.text.count("too little") == 1  # as what was said before
        assert post(alan, "statement", name=name, do="settle", words="paid").status_code in (403, 404, 422)
        settled = post(olga, "statement", name=name, do="settle", words="corrected")
        assert settled.status_code == 200 and "corrected" in settled.text
        for lost in ("2026-10", HOSTILE, f"{month}/GRANT/nobody"):
            assert alan.get("statement", params={"name": lost}).status_code == 404


def look(together: Together, folder: Path, cookies: httpx.Cookies, name: str) -> None:
    """In Chromium: no page is wider than a phone, nothing is asked for elsewhere, and a letter has tables and nothing
    to click."""
    with chromium_page() as page:
        elsewhere: list[str] = []
        page.on(
            "request",
            lambda asked: elsewhere.append(asked.url) if not asked.url.startswith((together.url, "data:")) else None,
        )
        page.context.add_cookies(
            [{"name": one.name, "value": one.value or "", "url": together.url} for one in cookies.jar]
        )
        for path in ("usage", "statements", f"statement?name={name}"):
            for width in (1280, 390):
                page.set_viewport_size({"width": width, "height": 900})
                page.goto(f"{together.url}{path}")
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
                    f"{path} is wider than {width} px"
                )
                page.screenshot(path=str(folder / f"books-{path.split('?')[0]}-{width}.png"), full_page=True)
        assert page.get_by_role("button", name="Accept").is_visible()
        page.set_viewport_size({"width": 680, "height": 900})  # what A4 leaves between its margins
        page.emulate_media(media="print")
        # a table, no phone's cards
        assert page.locator("thead").first.evaluate("one => getComputedStyle(one).position") == "static"
        assert (
            not page.get_by_role("button", name="Accept").is_visible()
            and not page.get_by_role("navigation").first.is_visible()
        )
        assert not elsewhere
