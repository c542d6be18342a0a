"""The view in a real browser: what a refresh leaves alone, what keys do, what a screen reader finds. Loads nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright import sync_api

from scnet_hub.client.panels.base import script
from scnet_hub.client.panels.overview import state
from scnet_hub.client.panels.snapshot import style
from scnet_hub.client.panels.state import centre_row, with_problem
from scnet_hub.errors import BrokerError
from tests.builders.chromium import chromium

from . import samples as s

pytestmark = pytest.mark.browser
# A model as anywidget hands it to render(): `sent` keeps what the view says, `news(state)` is what the kernel sends.
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Panel</title><style>%s</style><body><div id="panel"></div>
<script type="module">
%s
const heard = {};
let kept = %s;
window.sent = [];
const model = { get: () => kept, on: (name, f) => (heard[name] = f), off: () => {}, send: (body) => window.sent.push(body) };
window.news = (state) => { kept = state; heard["change:state"](); };
window.leave = widget.render({ model, el: document.getElementById("panel") });
window.drawn = true;
</script></body></html>"""


def page_of(panel: str, shown: dict[str, Any]) -> str:
    return PAGE % (style(), script(panel).replace("export default ", "const widget = "), json.dumps(shown))


def now_state(sessions: list[Any] | None = None, **changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    return state(s.centres(now), s.sessions(now) if sessions is None else sessions, [s.balance()], now) | changes


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: sync_api.Browser) -> Iterator[sync_api.Page]:
    made = browser.new_page(viewport={"width": 980, "height": 720})
    problems: list[str] = []
    made.on("pageerror", lambda error: problems.append(str(error)))
    made.on("request", lambda request: problems.append(request.url))
    made.set_content(page_of("overview", now_state()))
    made.wait_for_function("window.drawn")
    yield made
    assert problems == []
    made.close()


def news(page: sync_api.Page, shown: dict[str, Any]) -> None:
    page.evaluate("state => window.news(state)", shown)


def said(page: sync_api.Page, kind: str) -> list[Any]:
    return [body for body in page.evaluate("window.sent") if body["say"] == kind]


def test_it_draws_tables_with_captions_scopes_and_one_live_line(page: sync_api.Page) -> None:
    assert page.locator("caption:visible").all_inner_texts() == ["Centres", "My sessions"]
    assert page.get_by_role("rowheader", name="Alpha University of Alpha").count() == 1
    assert page.locator("[aria-live]").count() == 1
    assert page.get_by_role("status").inner_text().startswith("2 of 3 centres up")


def test_a_centre_without_an_account_of_mine_says_so_in_its_row(page: sync_api.Page) -> None:
    shown = now_state()
    shown["centres"][1] = centre_row(s.centre(id="beta", name="Beta", identity="certificate", account=""))
    news(page, shown)
    sync_api.expect(page.get_by_role("rowheader", name=re.compile("^Beta"))).to_contain_text("no account linked")
    sync_api.expect(page.get_by_role("rowheader", name="Alpha University of Alpha", exact=True)).not_to_contain_text(
        "no account linked"
    )


def test_stop_takes_two_steps_and_escape_keeps(page: sync_api.Page) -> None:
    page.get_by_role("button", name="Stop session default at Alpha", exact=True).press("Enter")
    assert page.evaluate("document.activeElement.innerText") == "Keep"
    page.keyboard.press("Escape")
    assert said(page, "stop") == []
    page.get_by_role("button", name="Stop session default at Alpha", exact=True).press("Enter")
    page.get_by_role("button", name="Yes, stop session default at Alpha").press("Enter")
    assert said(page, "stop") == [{"say": "stop", "id": "abc"}]


def test_a_refresh_keeps_focus_and_the_open_question(page: sync_api.Page) -> None:
    page.get_by_role("button", name="Stop session train-unet at Beta", exact=True).press("Enter")
    page.evaluate("window.before = document.activeElement")
    changed = now_state()
    changed["sessions"][0]["cost"] = "36.50"
    news(page, changed)
    assert page.evaluate("window.before === document.activeElement")
    assert page.get_by_text("36.50").count() == 1


def test_rows_come_go_and_keep_their_order(page: sync_api.Page) -> None:
    rows = now_state()["sessions"]
    news(page, now_state() | {"sessions": [rows[2], rows[0]]})
    names = page.locator("table:has(caption:text('My sessions')) tbody th > span:first-child").all_inner_texts()
    assert names == [rows[2]["name"], rows[0]["name"]]
    news(page, now_state(sessions=[]))
    assert page.get_by_text("You have no sessions.").is_visible()


def test_a_problem_is_a_sentence_and_greys_but_keeps_the_rest(page: sync_api.Page) -> None:
    news(page, with_problem(now_state(), BrokerError("The broker does not answer.", hint="Try again in a minute.")))
    assert page.get_by_text("The broker does not answer.").is_visible()
    assert page.get_by_text("not updated since").is_visible()
    assert page.locator(".is-stale").count() == 1 and page.get_by_text("University of Alpha").is_visible()
    news(page, now_state())
    assert not page.get_by_text("The broker does not answer.").is_visible()
    assert page.locator(".is-stale").count() == 0


def test_old_facts_are_greyed_without_a_word_from_the_kernel(page: sync_api.Page) -> None:
    page.evaluate("old => { window.news(old); }", now_state())
    page.clock.install()
    page.clock.fast_forward(400_000)
    page.wait_for_function("document.querySelector('.is-stale')")


def test_names_are_text_not_markup(page: sync_api.Page) -> None:
    evil = "<img src=x onerror=alert(1)>"
    now = datetime.now(UTC)
    news(page, state([s.centre(name=evil)], [s.session(now, name=evil)], [s.balance(title=evil)], now))
    assert page.locator("img").count() == 0
    assert page.get_by_text(evil).count() == 3


@pytest.fixture
def cluster(browser: sync_api.Browser) -> Iterator[sync_api.Page]:
    made = browser.new_page(viewport={"width": 980, "height": 720})
    problems: list[str] = []
    made.on("pageerror", lambda error: problems.append(str(error)))
    made.set_content(page_of("cluster", s.cluster(datetime.now(UTC))))
    made.wait_for_function("window.drawn")
    yield made
    assert problems == []
    made.close()


def test_a_cluster_is_scaled_adapted_and_stopped_by_keys_alone(cluster: sync_api.Page) -> None:
    for key in (
        "Tab",
        "Tab",
        "8",
        "Enter",
    ):  # the link to the dashboard, then the field for jobs, whose text is selected
        cluster.keyboard.press(key)
    assert said(cluster, "scale") == [{"say": "scale", "jobs": 8}]
    cluster.get_by_role("spinbutton", name="to", exact=True).fill("12")
    cluster.get_by_role("button", name="Adapt cluster ocean").press("Enter")
    assert said(cluster, "adapt") == [{"say": "adapt", "minimum": 0, "maximum": 12}]
    cluster.get_by_role("button", name="Stop cluster ocean", exact=True).press("Enter")
    cluster.keyboard.press("Escape")
    assert said(cluster, "stop") == []
    cluster.get_by_role("button", name="Stop cluster ocean", exact=True).press("Enter")
    cluster.get_by_role("button", name="Yes, stop cluster ocean").press("Enter")
    assert said(cluster, "stop") == [{"say": "stop"}]


def test_a_refused_size_is_a_sentence_that_is_also_spoken(cluster: sync_api.Page) -> None:
    words = "1,000,000 jobs are too many: a cluster has at most 1,000."
    shown = s.cluster(datetime.now(UTC)) | {"problem": {"title": words, "hint": "Make jobs larger."}}
    cluster.clock.install()
    news(cluster, shown)
    assert cluster.locator("[aria-live]").count() == 1
    sync_api.expect(cluster.locator(".scnet-problem")).to_have_text(f"{words} Make jobs larger.")
    cluster.clock.fast_forward(11_000)
    sync_api.expect(cluster.get_by_role("status")).to_have_text(f"{shown['summary']}. {words}")


def test_a_cluster_without_a_kernel_has_no_live_controls_and_says_why(cluster: sync_api.Page) -> None:
    group = cluster.get_by_role("group", name="Size of cluster ocean")
    scale = cluster.get_by_role("button", name="Scale cluster ocean")
    sync_api.expect(scale).to_be_enabled()
    cluster.evaluate("document.body.classList.add('jupyter-widgets-disconnected')")
    sync_api.expect(scale).to_be_disabled()
    sync_api.expect(group).to_have_accessible_description("No kernel answers this view any more. Run the cell again.")
    cluster.evaluate("document.body.classList.remove('jupyter-widgets-disconnected')")
    sync_api.expect(scale).to_be_enabled()
    news(cluster, s.cluster(datetime.now(UTC), jobs=[], centres=[]) | {"closed": True})
    sync_api.expect(scale).to_be_disabled()
    sync_api.expect(group).to_have_accessible_description("The cluster is closed. Start another with scnet.dask().")


@pytest.mark.parametrize("name", ["overview", "centres", "sessions", "cluster"])
def test_on_a_narrow_screen_a_wide_table_scrolls_and_the_page_does_not(browser: sync_api.Browser, name: str) -> None:
    made = browser.new_page(viewport={"width": 390, "height": 700})
    made.set_content(page_of(name, s.cluster(datetime.now(UTC)) if name == "cluster" else now_state()))
    made.wait_for_function("window.drawn")
    assert made.evaluate("document.documentElement.scrollWidth") == 390
    sync_api.expect(made.get_by_role("table")).to_have_count(2 if name in ("overview", "cluster") else 1)
    for button in made.get_by_role("button", name="Stop").all():
        box = button.bounding_box()
        assert box and box["x"] + box["width"] <= 390, "in reach without scrolling"
    made.close()


def test_the_kernel_hears_that_somebody_looks_and_that_nobody_does(page: sync_api.Page) -> None:
    assert said(page, "here") == [{"say": "here"}]
    page.evaluate("window.leave()")
    assert said(page, "gone") == [{"say": "gone"}]


def test_times_are_the_persons_with_utc_in_the_tooltip_and_an_old_view_offers_nothing_to_press(
    browser: sync_api.Browser,
) -> None:
    made = browser.new_page(timezone_id="Asia/Shanghai")
    made.clock.install(time="2026-11-25T03:00:00Z")
    shown = state(s.centres(), s.sessions(), [s.balance()], s.NOW)  # of two days before
    made.set_content(page_of("overview", shown))
    made.wait_for_function("window.drawn")
    pace = made.locator(".scnet-pace")
    sync_api.expect(pace).to_contain_text("which lasts until 25 Nov 22:30 if all running sessions continue")
    assert "25 Nov 14:30 UTC" in (pace.get_attribute("title") or "")
    asof = made.locator(".scnet-asof")
    sync_api.expect(asof).to_have_text("as of 23 Nov 20:00, 39 h ago: run the cell again for a live view")
    sync_api.expect(asof).to_have_attribute("title", "2026-11-23 12:00:05 UTC")
    assert made.get_by_role("button", name=re.compile("^Stop")).count() == 0
    made.close()
