"""The start page in a real browser: what a refresh may touch and what it must leave alone.

A tiny server plays the hub: it serves the rendered form, the static files and a JSON answer that the tests change. It
needs Debian's Chromium and Playwright's Python package; without either these tests fail.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright import sync_api

from scnet_hub.display.times import age
from scnet_hub.hub.views import start_form
from tests.builders.chromium import chromium
from tests.system.hub import federation as f

SHELL = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Start</title><link rel="stylesheet" href="/static/scnet.css">
<link rel="icon" href="data:,"></head><body><main class="scnet-page">
<form id="spawn_form" method="post" action="/spawn"
enctype="application/x-www-form-urlencoded">%s</form></main>
<script type="module" src="/static/scnet-times.js"></script><script src="/static/scnet-start.js" defer></script></body></html>"""
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Hub(ThreadingHTTPServer):
    """What the hub knows (`facts`), what it was asked (`asked`) and what a form brought (`posted`)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Door)
        self.facts: dict[str, Any] = {}
        self.asked: list[dict[str, str]] = []
        self.posted: dict[str, str] = {}
        self.status = 200
        self.reset()

    def reset(self) -> None:
        self.facts = f.context(offers_url="/offers", poll_s=1)
        self.asked, self.posted, self.status = [], {}, 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def offers(self) -> dict[str, Any]:
        return start_form.offers_document(*(self.facts[key] for key in ("centres", "placement", "projects", "problem")))

    def change(self, **facts: Any) -> None:
        self.facts = {**self.facts, **copy.deepcopy(facts)}


class Door(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path == "/offers":
            self.server.asked.append(
                {key: values[0] for key, values in parse_qs(address.query, keep_blank_values=True).items()}
            )
            return self.answer(json.dumps(self.server.offers()), "application/json", self.server.status)
        if address.path.startswith("/static/"):
            name = Path(address.path).name
            file = (start_form.PANELS if name == "times.js" else start_form.STATIC) / name
            return self.answer(file.read_text(), TYPES[file.suffix])
        return self.answer(
            SHELL % start_form.render_form(start_form.environment(), self.server.facts), "text/html; charset=utf-8"
        )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.posted = {key: values[0] for key, values in parse_qs(body, keep_blank_values=True).items()}
        self.answer("<!doctype html><title>Started</title>", "text/html")

    def answer(self, text: str, kind: str, status: int = 200) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def served() -> Iterator[Hub]:
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    yield hub
    hub.shutdown()
    hub.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture
def hub(served: Hub) -> Hub:
    served.reset()
    return served


@pytest.fixture
def page(hub: Hub, browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1100, "height": 800})
    page = context.new_page()
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on(
        "request",
        lambda request: page.wrong.append(request.url) if not request.url.startswith((hub.url, "data:")) else None,
    )
    page.goto(hub.url)
    yield page
    context.close()
    assert page.wrong == []


def cell(page: Any, centre: str, name: str) -> Any:
    return page.locator(f'[data-centre="{centre}"] [data-cell="{name}"]')


def expect(locator: Any) -> Any:
    return sync_api.expect(locator)


def alpha(**facts: Any) -> list[dict[str, Any]]:
    return [f.centre("alpha", **facts), *f.CENTRES[1:]]


def test_a_refresh_changes_the_numbers_and_nothing_else_moves(hub: Hub, page: Any) -> None:
    expect(cell(page, "alpha", "cores")).to_have_text("20 of 32")
    page.evaluate("document.querySelectorAll('.scnet-row').forEach((row, i) => (row.mark = i))")
    before = page.locator(".scnet-centres").bounding_box()
    hub.change(centres=alpha(partitions=[f.partition("cpu", 32, 7)], queued=2))
    expect(cell(page, "alpha", "cores")).to_have_text("7 of 32")
    expect(page.locator('[data-centre="alpha"] [data-cell="queue"]')).to_have_text("2 jobs")
    assert page.evaluate("[...document.querySelectorAll('.scnet-row')].map((row) => row.mark)") == [0, 1, 2, 3, 4]
    assert page.locator(".scnet-centres").bounding_box() == before


def test_script_and_server_write_the_same_words(hub: Hub, page: Any) -> None:
    read = (
        "() => [...document.querySelectorAll('[data-cell]:not([data-cell=age])')].map((node) => "
        "node.textContent.trim())"
    )
    with page.expect_response("**/offers?*"):
        pass
    page.wait_for_function("() => document.querySelector('[data-slot=button]').hasAttribute('aria-disabled')")
    live = page.evaluate(read)
    raw = start_form.render_form(start_form.environment(), hub.facts)
    served = page.evaluate(f"(html) => {{ document.querySelector('form').innerHTML = html; return ({read})(); }}", raw)
    assert live == served


def test_script_counts_ages_in_the_same_words(hub: Hub, page: Any) -> None:
    ages = [0.2, 59.2, 61, 3599, 7300, 90000, None]
    hub.change(centres=[f.centre(f"c{i}", age_s=seconds) for i, seconds in enumerate(ages)])
    expect(page.locator(".scnet-row")).to_have_count(len(ages))
    for i, seconds in enumerate(ages):
        near = {age(passed, never="never") for passed in (seconds, None if seconds is None else seconds + 1)}
        assert cell(page, f"c{i}", "age").text_content() in near


def test_typed_values_choice_and_focus_survive_a_refresh(hub: Hub, page: Any) -> None:
    page.check('input[name="profile"][value="own"]')
    page.fill('input[name="memory"]', "12G")
    page.fill('input[name="cores"]', "5")
    page.check('input[name="centre"][value="beta"]')
    page.focus('input[name="cores"]')
    hub.change(centres=alpha(partitions=[f.partition("cpu", 32, 1)]))
    expect(cell(page, "alpha", "cores")).to_have_text("1 of 32")
    assert page.input_value('input[name="memory"]') == "12G"
    assert page.input_value('input[name="cores"]') == "5"
    assert page.is_checked('input[name="centre"][value="beta"]')
    assert page.evaluate("document.activeElement.name") == "cores"
    assert {"cores": "5", "memory": "12G", "kind": "lab", "project": "climate"}.items() <= hub.asked[-1].items()
    assert "centre" not in hub.asked[-1]


def test_a_profile_is_asked_for_in_numbers(hub: Hub, page: Any) -> None:
    page.check('input[name="profile"][value="gpu"]')
    with page.expect_response("**/offers?*gpus=1*"):
        pass
    assert {"cores": "8", "memory": "32G", "gpus": "1", "walltime": "2h"}.items() <= hub.asked[-1].items()


def test_own_size_starts_from_the_card_before_it(page: Any) -> None:
    page.check('input[name="profile"][value="medium"]')
    page.check('input[name="profile"][value="own"]')
    assert [page.input_value(f'input[name="{name}"]') for name in ("cores", "memory", "walltime")] == ["4", "16G", "4h"]


def test_keyboard_alone_chooses_and_starts(hub: Hub, page: Any) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.value") == "small"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "project"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "centre"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".scnet-go")).to_have_text("Queue at Beta")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/spawn")
    assert (hub.posted["profile"], hub.posted["centre"], hub.posted["project"]) == ("medium", "beta", "climate")


def test_a_pinned_centre_is_posted_and_best_is_empty(hub: Hub, page: Any) -> None:
    page.click(".scnet-go")
    page.wait_for_url("**/spawn")
    assert hub.posted["centre"] == ""
    page.goto(hub.url)
    page.locator('[data-centre="gamma"] label').click()
    page.click(".scnet-go")
    page.wait_for_url("**/spawn")
    assert hub.posted["centre"] == "gamma"


def test_a_centre_that_refuses_says_why_and_does_not_start(hub: Hub, page: Any) -> None:
    page.check('input[name="centre"][value="delta"]')
    expect(page.locator('[data-slot="cost"]')).to_have_text(
        "Delta can't take this request: Only members of a class may use partition teaching."
    )
    expect(page.locator(".scnet-go")).to_have_attribute("aria-disabled", "true")
    page.locator(".scnet-go").click(force=True)
    assert hub.posted == {} and page.url == hub.url


def test_a_centre_that_loses_its_account_becomes_a_way_to_link_one(hub: Hub, page: Any) -> None:
    link = page.locator('[data-centre="delta"]').get_by_role("link")
    expect(link).to_have_count(0)
    hub.change(
        centres=[
            *f.CENTRES[:3],
            f.centre("delta", identity="certificate", account=""),
            f.centre("zeta", identity="service", account=""),
        ]
    )
    expect(link).to_have_text("you have no account linked here: link it")
    expect(link).to_have_attribute("href", "/hub/accounts#centre-delta")
    expect(page.locator('[data-centre="zeta"]').get_by_role("link")).to_have_attribute(
        "href", "/hub/accounts#centre-zeta"
    )
    page.check('input[name="centre"][value="delta"]')
    expect(page.locator('[data-slot="cost"]')).to_have_text(
        "Delta can't take this request: you have no account linked here"
    )


def test_stale_facts_are_greyed(hub: Hub, page: Any) -> None:
    colour = "(id) => getComputedStyle(document.querySelector(`[data-centre='${id}'] [data-cell=cores]`)).color"
    assert page.evaluate(colour, "alpha") != page.evaluate(colour, "gamma")
    hub.change(centres=alpha(state="stale", why="No answer for 2 minutes.", age_s=130))
    expect(page.locator('[data-centre="alpha"]')).to_have_attribute("data-stale", "")
    expect(cell(page, "alpha", "state_word")).to_have_text("Stale")
    assert page.evaluate(colour, "alpha") == page.evaluate(colour, "gamma")


def test_a_broker_that_goes_down_blocks_and_its_return_unblocks(hub: Hub, page: Any) -> None:
    page.focus(".scnet-go")
    hub.change(centres=[], placement=None, projects=[], problem=f.PROBLEM)
    expect(page.get_by_role("alert")).to_contain_text("The broker does not answer.")
    expect(page.locator(".scnet-go")).to_have_attribute("aria-disabled", "true")
    expect(page.locator(".scnet-row")).to_have_count(5)
    assert page.evaluate("document.activeElement.className").endswith("scnet-go")
    hub.change(**{key: f.context()[key] for key in ("centres", "placement", "projects", "problem")})
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator(".scnet-go")).to_have_attribute("aria-disabled", "false")


def test_a_login_that_ended_is_said(hub: Hub, page: Any) -> None:
    hub.status = 403
    expect(page.get_by_role("alert")).to_contain_text("Your login has ended.")


def test_a_page_opened_in_an_outage_recovers_by_itself(hub: Hub, page: Any) -> None:
    whole = hub.facts
    hub.change(centres=[], placement=None, projects=[], problem=f.PROBLEM)
    page.goto(hub.url)
    expect(page.locator(".scnet-go")).to_have_attribute("aria-disabled", "true")
    hub.facts = whole
    expect(page.locator(".scnet-row")).to_have_count(5)
    page.check('input[name="centre"][value="beta"]')
    page.click(".scnet-go")
    page.wait_for_url("**/spawn")
    assert (hub.posted["centre"], hub.posted["project"]) == ("beta", "climate")


def test_a_page_without_profiles_loads_them_when_the_broker_is_back(hub: Hub, page: Any) -> None:
    whole = hub.facts
    hub.change(centres=[], placement=None, projects=[], profiles=[], problem=f.PROBLEM)
    page.goto(hub.url + "spawn?_xsrf=secret")
    expect(page.locator(".scnet-card")).to_have_count(1)
    hub.facts = whole
    expect(page.locator(".scnet-card")).to_have_count(4)
    assert page.url == hub.url + "spawn"


def test_an_option_that_cannot_be_read_is_said_beside_the_button(hub: Hub, page: Any) -> None:
    page.check('input[name="profile"][value="own"]')
    page.fill('input[name="memory"]', "much")
    problem = {
        "code": "bad-option",
        "title": "memory: 'much' is not a memory size.",
        "hint": "Write it like 4G or 512M.",
        "status": 400,
    }
    hub.change(placement=None, problem=problem)
    expect(page.locator('[data-slot="cost"]')).to_have_text(
        "memory: 'much' is not a memory size. Write it like 4G or 512M."
    )
    expect(page.get_by_role("alert")).to_be_hidden()
    assert page.input_value('input[name="memory"]') == "much"
    memory = page.locator('input[name="memory"]')
    expect(memory).to_have_attribute("aria-invalid", "true")
    expect(memory).to_have_attribute("aria-describedby", "scnet-verdict scnet-memory-hint")
    page.locator(".scnet-go").click(force=True)
    assert page.evaluate("document.activeElement.name") == "memory" and hub.posted == {}
    hub.change(**{key: f.context()[key] for key in ("placement", "problem")})
    expect(memory).not_to_have_attribute("aria-invalid", "true")
    expect(memory).to_have_attribute("aria-describedby", "scnet-memory-hint")


def test_a_form_that_was_refused_comes_back_with_its_wrong_field_in_focus(hub: Hub, page: Any) -> None:
    hub.change(defaults={**hub.facts["defaults"], "profile": "own", "walltime": "soon", "wrong": "walltime"})
    page.goto(hub.url)
    assert page.evaluate("document.activeElement.name") == "walltime"
    walltime = page.locator('input[name="walltime"]')
    assert walltime.evaluate(
        "node => { const box = node.getBoundingClientRect(); return box.top >= 0 && box.bottom <= innerHeight; }"
    )


def test_times_in_sentences_are_the_persons_and_the_brokers_words_the_tooltip(hub: Hub, browser: Any) -> None:
    context = browser.new_context(timezone_id="Asia/Shanghai")
    page = context.new_page()
    page.clock.set_fixed_time("2026-11-23T16:00:00Z")
    hops = [{"name": "scheduler", "ok": False, "since": "2026-11-23T14:02:11Z", "age_s": 4.0, "why": ""}]
    hub.change(centres=alpha(hops=hops))
    page.goto(hub.url)
    expect(cell(page, "alpha", "trouble")).to_have_text("scheduler failing since 23 Nov 22:02")
    expect(cell(page, "alpha", "trouble")).to_have_attribute("title", "scheduler failing since 23 Nov 14:02 UTC")
    page.set_content('<time datetime="2026-11-30T16:00:00Z" data-form="day">30 Nov 2026</time>')
    page.add_script_tag(url=f"{hub.url}static/scnet-times.js?again", type="module")
    expect(page.locator("time")).to_have_text("1 Dec 2026")
    expect(page.locator("time")).to_have_attribute("title", "30 Nov 2026 16:00 UTC")
    context.close()


def test_the_live_line_is_not_read_twice_in_ten_seconds(hub: Hub, page: Any) -> None:
    live = page.locator('[data-slot="live"]')
    hub.change(placement=f.PLACEMENT | {"best": f.offer("alpha", cores_free=19)})
    expect(live).to_contain_text("19 of 32")
    hub.change(placement=f.PLACEMENT | {"best": f.offer("alpha", cores_free=18)})
    expect(page.locator('[data-slot="best-now"]')).to_contain_text("18 of 32")
    expect(live).to_contain_text("19 of 32")


def test_without_script_the_form_still_posts(hub: Hub, browser: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(hub.url)
    assert cell(page, "alpha", "cores").text_content() == "20 of 32"
    page.check('input[name="centre"][value="beta"]')
    page.click(".scnet-go")
    page.wait_for_url("**/spawn")
    assert (hub.posted["centre"], hub.posted["profile"]) == ("beta", "small")
    context.close()
