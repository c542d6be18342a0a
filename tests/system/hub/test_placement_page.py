"""The operator's page on placement: its words, and on a real hub over the real broker."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from scnet_hub.adapters.db.database import Tx
from scnet_hub.domain.jobs import JobRequest, LoadSnapshot, NodeLoad, PartitionLoad
from scnet_hub.errors import NotFound, OverQuota
from scnet_hub.hub.views import placement as page_of
from scnet_hub.services import tokens
from scnet_hub.services.federation import Federation
from tests.builders.chromium import chromium_page
from tests.system.hub.together import Together
from tests.unit.cli.test_decisions import LINE, REFUSED, REPORT

HOSTILE = '"><script>alert(1)</script>'

REASON = {"code": "over-cap", "why": "Your cap is 40.", "times": 1}


def test_figures_are_words_and_what_is_not_known_a_dash() -> None:
    report = page_of.view(REPORT | {"decisions": []}, "day")["report"]
    assert report["all"] == {
        "name": "All", "count": 4, "further": 1, "rate": "67 %", "kept": "2 of 3", "expected": "1.0 s",
        "started": "0.3 s", "median": "2.0 s", "p95": "61 s", "waiting": "1 not ready yet",
    }  # fmt: skip
    chance = report["tables"][1]["rows"][0]
    assert (chance["name"], chance["rate"], chance["kept"], chance["median"]) == ("now", "–", "no time was stated", "–")
    assert report["refused"] == [{"title": "Over quota", "count": 3, "example": "Too much."}]


def test_a_refused_start_is_a_line_too() -> None:
    line = page_of.decision(REFUSED | {"centre_name": ""})
    assert (line["where"], line["note"], line["state"], line["kept"]) == ("nowhere", "Over quota", "refused", "–")


def test_refusals_are_told_apart_by_kind_reason_and_filter() -> None:
    report = REPORT | {"decisions": [LINE, REFUSED | {"kind": "dask"}, REFUSED | {"kind": "batch", "refused": REASON}]}
    names = {"centre_name": "Alpha"}
    report |= {"decisions": [one | names for one in report["decisions"]]}
    found = page_of.view(report, "day", show="refused")["report"]["decisions"]
    assert [(one["what"], one["note"], one["why"]) for one in found] == [
        ("Dask", "Over quota, 3 in a row", "Too much."), ("batch", "Over a member's cap", "Your cap is 40."),
    ]  # fmt: skip
    assert [one["refused"] for one in page_of.view(report, "day", show="placed")["report"]["decisions"]] == [False]
    assert len(page_of.view(report, "day")["report"]["decisions"]) == 3
    assert page_of.titled("some-new-code") == "Some new code"


def test_a_burst_of_refusals_is_one_line() -> None:
    none = REFUSED | {"refused": {"code": "no-placement", "why": "No.", "times": 1}}
    people = [REFUSED | {"person": person, "centre_name": ""} for person in ("ada", "ben", "ada", "cy", "di")]
    found = page_of.lines(
        [LINE | {"centre_name": "Alpha"}, *people, none | {"centre_name": ""}, LINE | {"centre_name": "Alpha"}]
    )
    assert [(one["person"], one["note"]) for one in found] == [
        ("ada", "cpu"), ("ada, ben, cy and 1 more", "Over quota, 15 in a row"), ("ada", "No place"), ("ada", "cpu"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected", "started", "state"),
    [
        ({}, "9 in 10 within 4\u00a0s", "ready after 2.0 s", "ready"),
        ({"ended_at": "2026-11-20T10:00:00.000Z"}, "9 in 10 within 4\u00a0s", "ready after 2.0 s", "ended"),
        (
            {"kind": "batch", "chance": "later", "p90_s": None, "expected_start_s": 700.0},
            "roughly in 700 s",
            "",
            "running",
        ),
        ({"p90_s": None, "ready_at": None, "ready_s": None}, "", "", "running"),
        (
            {"started_at": None, "ready_at": None, "ready_s": None, "state": "queued"},
            "9 in 10 within 4\u00a0s",
            "",
            "queued",
        ),
    ],
)
def test_a_line_says_what_was_expected_what_came_and_what_it_is_now(
    changes: page_of.Facts, expected: str, started: str, state: str
) -> None:
    line = page_of.decision(LINE | {"centre_name": "Alpha"} | changes)
    assert (line["promise"], line["ready"], line["state"]) == (expected, started, state)


def test_what_is_wrong_is_said_and_no_report_is_shown() -> None:
    shown = page_of.view(None, "week", wanted="x", error=NotFound("There is no such thing.", hint="Look."))
    assert shown["problem"] == {"title": "There is no such thing.", "hint": "Look."} and shown["report"] is None


@pytest.fixture(scope="module")
def together() -> Iterator[Together]:
    made = Together(Path(tempfile.mkdtemp(prefix="sc-")))
    made.start()
    yield made
    made.stop()
    shutil.rmtree(made.home, ignore_errors=True)


def decide(together: Together) -> str:
    """Two starts of ada's at Delta, one of them ready and one refused; the id of the first one's session."""
    fed: Federation = together.federation
    now = fed.clock()
    for known in fed.states.centres.values():
        nodes = (NodeLoad(name="n1", cores=4, cores_used=0),)
        known.update(LoadSnapshot(taken_at=now, partitions={"batch": PartitionLoad(name="batch", nodes=nodes)}))

    def write(tx: Tx) -> str:
        session_id = tokens.new_id()
        wanted = JobRequest(person="ada", project="climate", centre="delta", name="one")
        decision, _ = fed.placing.decide(tx, wanted)
        assert decision.best
        fed.copies.insert(tx, session_id, decision, {})
        fed.decision_log.refused(tx, fed.placing.decide(tx, wanted)[0], OverQuota(f"Too much of {HOSTILE}."))
        fed.endings.end_session(tx, session_id, "Stopped on request.")
        return session_id

    with together.db.engine.begin() as tx:
        return write(tx)


def test_the_page_is_the_operators_and_each_person_has_their_own_explanations(
    together: Together, tmp_path: Path
) -> None:
    with (
        closing(together.log_in("olga")) as olga,
        closing(together.log_in("ada")) as ada,
        closing(together.log_in("grace")) as grace,
    ):
        empty = olga.get("placement")
        assert empty.status_code == 200 and "No decision was made in the last day." in empty.text
        assert (
            'href="/hub/placement" aria-current="page"' in empty.text and empty.headers["cache-control"] == "no-store"
        )
        session_id = decide(together)
        page = olga.get("placement?span=week")
        assert ">Delta <" in page.text and "Over quota: 1" in page.text and HOSTILE not in page.text
        [refused, started] = re.findall(r'placement\?id=(\w+)"', page.text)
        assert "Too much of" in olga.get(f"placement?id={refused}").text
        assert ada.get("placement").status_code == 403 and 'href="/hub/placement"' not in ada.get("accounts").text
        for wanted in (started, session_id):
            mine = ada.get(f"placement?id={wanted}")
            assert (
                mine.status_code == 200
                and "ada asked for a JupyterLab session with 1 core for 1 h, at Delta only" in mine.text
            )
            assert grace.get(f"placement?id={wanted}").status_code == 404
        lost = olga.get("placement", params={"id": HOSTILE})
        assert (
            lost.status_code == 404
            and HOSTILE not in lost.text
            and "There is no session and no decision with this id." in lost.text
        )
        assert olga.get("placement?span=nonsense").status_code == 200
        stranger = httpx.get(f"{together.url}placement", trust_env=False)
        assert "/hub/login" in stranger.headers["location"]
        folder = Path(os.environ.get("SCNET_PICTURES") or tmp_path)
        look(together, folder, olga.cookies)
        together.stop_broker()
        try:
            away = olga.get("placement")
            assert away.status_code == 503 and "The broker does not answer" in away.text
        finally:
            together.start_broker()


def look(together: Together, folder: Path, cookies: httpx.Cookies) -> None:
    """In Chromium: no page is wider than a phone, and nothing is asked for elsewhere."""
    with chromium_page() as page:
        elsewhere: list[str] = []
        page.on(
            "request",
            lambda asked: elsewhere.append(asked.url) if not asked.url.startswith((together.url, "data:")) else None,
        )
        page.context.add_cookies(
            [{"name": one.name, "value": one.value or "", "url": together.url} for one in cookies.jar]
        )
        for width in (1280, 400):
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(f"{together.url}placement")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"wider than {width} px"
            page.screenshot(path=str(folder / f"placement-{width}.png"), full_page=True)
        page.get_by_role("link", name=re.compile("Explain decision")).first.click()
        assert page.get_by_role("heading", name="Why the session was placed there").is_visible()
        page.screenshot(path=str(folder / "placement-explained.png"), full_page=True)
        assert not elsewhere
