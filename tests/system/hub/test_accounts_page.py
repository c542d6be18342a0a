"""The accounts page on a real hub over the real broker: by plain forms as a client posts them, and in Chromium."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright import sync_api

from scnet_hub.errors import BrokerError, Denied, NotFound, Refused, Unreachable
from scnet_hub.hub.views import accounts as page_of
from tests.builders.chromium import chromium_page
from tests.system.hub.together import CENTRES, Together

HOSTILE = '"><script>alert(1)</script>'
NOW = datetime(2026, 11, 23, 4, 30, tzinfo=UTC)


# ---- the words


def facts(id: str = "beta", **more: Any) -> dict[str, Any]:
    base = {"id": id, "name": id.title(), "organisation": "", "contact": "hpc@beta.example", "identity": "certificate"}
    return base | more


def link(**more: Any) -> dict[str, Any]:
    base = {
        "person": "ada",
        "centre": "beta",
        "account": "u1",
        "how": "proof",
        "linked_by": "ada",
        "linked_at": "2026-11-01T08:00:00Z",
    }
    return base | {"ended_by": "", "ended_at": None} | more


def words(centres: Any = (), links: Any = (), **more: Any) -> dict[str, Any]:
    return page_of.view([*centres] or [facts()], [*links], "ada", **{"asked": {}, "now": NOW, **more})


def asked(left: timedelta = timedelta(minutes=29, seconds=10)) -> page_of.Asked:
    return page_of.Asked(account="u1", command="echo word > file", until=NOW + left)


def test_each_mode_is_said_in_plain_words() -> None:
    rows = words([facts(m, identity=m) for m in ("certificate", "service", "shared")])["rows"]
    assert [row["mode"].split(",")[0] for row in rows[:2]] == ["Your own account"] * 2
    assert "15 minutes" in rows[0]["mode"] and "service account" in rows[1]["mode"] and "demo" in rows[2]["mode"]
    assert [row["may_link"] for row in rows] == [True, True, False]


def test_a_standing_link_says_how_and_since_when_and_ended_ones_by_whom() -> None:
    old = [link(account="u0", how="list", ended_by="the page of beta", ended_at="2026-11-02T08:00:00Z"),
           link(account="u2", ended_by="ada", ended_at="2026-11-03T08:00:00Z")]  # fmt: skip
    row = words(links=[*old, link()])["rows"][0]
    assert (row["account"], row["how"], row["since"]) == ("u1", "by your own proof", "1 November 2026")
    assert [(one["account"], one["ended_by"]) for one in row["earlier"]] == [
        ("u2", "you"),
        ("u0", "the centre's own list"),
    ]


def test_only_addresses_become_links() -> None:
    assert page_of.contact("hpc@beta.example")["href"] == "mailto:hpc@beta.example"
    assert page_of.contact("https://beta.example/help")["href"] == "https://beta.example/help"
    for text in ("javascript:alert(1)", "Room 12", "", "a@b\nc", 'https://x"onclick="y'):
        assert page_of.contact(text)["href"] == ""


@pytest.mark.parametrize(
    ("do", "code", "pending", "links", "stands_at"),
    [
        ("link", "bad-option", False, (), "link"),
        ("prove", "not-proven", True, (), "prove"),
        ("prove", "not-proven", False, (), "link"),  # the hub has forgotten the command
        ("prove", "no-proof", True, (), "link"),
        ("unlink", "listed", False, (link(how="list"),), "card"),
        ("unlink", "refused", False, (link(),), "unlink"),
        ("link", "refused", False, (link(how="list"),), "card"),
    ],
)  # fmt: skip
def test_a_refusal_stands_where_a_form_is(do: str, code: str, pending: bool, links: Any, stands_at: str) -> None:
    tried = page_of.Tried(do=do, centre="beta", account="u7", error=Refused("No.", code=code))
    row = words(links=links, tried=tried, asked={"beta": asked()} if pending else {})["rows"][0]
    assert (row["error_at"], row["error"]["title"]) == (stands_at, "No.")
    assert row["typed"] == ("u7" if stands_at == "link" else "")


def test_the_hints_of_the_command_line_are_the_pages_own_here() -> None:
    error = Refused("Not yet.", hint="run the command that `scnet accounts link` showed.", code="not-proven")
    row = words(tried=page_of.Tried(do="prove", centre="beta", account="u7", error=error), asked={"beta": asked()})[
        "rows"
    ][0]
    assert row["error"] == {"title": "Not yet.", "hint": "Sign in there as u7, run the command, then check again."}


def test_the_time_left_is_rounded_up_and_an_old_command_is_gone() -> None:
    assert words(asked={"beta": asked()})["rows"][0]["asked"]["left"] == "30 min left"
    page_of.remember("eve", "beta", asked(timedelta(minutes=1)), NOW)
    assert [*page_of.asked_of("eve", NOW)] == ["beta"] and not page_of.asked_of("ada", NOW)
    assert not page_of.asked_of("eve", NOW + timedelta(minutes=1))
    page_of.remember("eve", "gamma", asked(timedelta(minutes=9)), NOW + timedelta(minutes=1))
    assert [*page_of.asked_of("eve", NOW)] == ["gamma"]


def test_without_the_broker_what_was_typed_and_asked_stays() -> None:
    away = BrokerError("The broker does not answer.")
    tried = page_of.Tried(do="link", centre="beta", account="u7", error=away)
    shown = words([], away=away, tried=tried, asked={"gamma": asked()})
    assert [(row["id"], row["typed"], bool(row["asked"])) for row in shown["rows"]] == [
        ("gamma", "", True),
        ("beta", "u7", False),
    ]
    assert shown["problem"]["title"] == "The broker does not answer."


def test_what_fits_no_form_is_said_above() -> None:
    for do, centre in (("dance", "beta"), ("link", HOSTILE), ("link", "../sessions"), ("link", "omega")):
        tried = page_of.Tried(do=do, centre=centre, account="", error=NotFound("There is no such centre."))
        shown = words(tried=tried)
        assert shown["problem"]["title"] == "There is no such centre." and shown["rows"][0]["error"] is None


def test_an_address_cannot_make_the_page_say_what_is_not_so() -> None:
    def said(*centres: Any, links: Any = (), done: str = "beta") -> str:
        return "".join(row["done"] for row in page_of.after(words(centres, links), done)["rows"])

    assert said(links=[link()]) == "Linked: at Beta your sessions run as u1."
    assert said() == "No longer linked at Beta."
    assert said(done=HOSTILE) == "" and said(facts(identity="shared")) == "" and said(links=[link(how="list")]) == ""


# ---- a person, by plain forms


@pytest.fixture(scope="module")
def together() -> Iterator[Together]:
    home = Path(tempfile.mkdtemp(prefix="sc-"))
    made = Together(home)
    made.start()
    yield made
    made.stop()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def ada(together: Together) -> Iterator[httpx.Client]:
    client = together.log_in("ada")
    yield client
    for centre in ("beta", "gamma"):
        post(client, "unlink", centre)
    client.close()


def post(client: httpx.Client, do: str, centre: str, account: str = "", **more: str) -> httpx.Response:
    data = {"do": do, "centre": centre, "account": account, "_xsrf": client.cookies["_xsrf"], **more}
    return client.post("accounts", data=data)


def card(answer: httpx.Response, centre: str) -> str:
    """One centre's part of the page."""
    found = re.search(rf'<section[^>]* id="centre-{centre}".*?</section>', answer.text, re.DOTALL)
    assert found, answer.text
    return found[0]


def command(answer: httpx.Response, centre: str) -> str:
    found = re.search(r"<code[^>]*>(.*?)</code>", card(answer, centre))
    assert found, card(answer, centre)
    return found[1].replace("&gt;", ">")


def test_the_page_shows_each_centre_and_is_in_the_navigation(ada: httpx.Client) -> None:
    answer = ada.get("accounts")
    assert answer.status_code == 200
    assert 'href="/hub/accounts" aria-current="page"' in answer.text
    assert [name for one in CENTRES if (name := one["name"]) not in answer.text] == []
    assert "u4711" in card(answer, "alpha") and "by the centre&#39;s own list" in card(answer, "alpha")
    assert "mailto:hpc@alpha.example" in card(answer, "alpha") and 'value="unlink"' not in card(answer, "alpha")
    assert "Room 12 &lt;b&gt;" in card(answer, "gamma") and "<form" not in card(answer, "delta")


def test_it_has_the_headers_of_the_other_pages_and_is_kept_nowhere(ada: httpx.Client) -> None:
    answer, home = ada.get("accounts"), ada.get("token")
    assert answer.headers["content-security-policy"] == home.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert "hub.token" not in answer.text and "Authorization" not in answer.text


def test_link_prove_unlink_and_history(ada: httpx.Client, together: Together) -> None:
    answer = post(ada, "link", "beta", "u5001")
    assert answer.history[0].status_code == 303 and answer.url.fragment == "centre-beta"
    there = command(answer, "beta")
    assert command(ada.get("accounts"), "beta") == there  # looking again asks for no new one

    early = post(ada, "prove", "beta", "u5001")
    assert early.status_code == 422 and "does not hold the word yet." in card(early, "beta")
    assert command(early, "beta") == there and "scnet accounts" not in early.text

    together.run_there("beta", "u5001", there)
    linked = post(ada, "prove", "beta", "u5001")
    assert "Linked: at Beta your sessions run as u5001." in linked.text
    assert "by your own proof" in card(linked, "beta") and "<code" not in card(linked, "beta")

    gone = post(ada, "unlink", "beta")
    assert "No longer linked at Beta." in gone.text
    assert "Earlier accounts (1)" in card(gone, "beta") and "ended by you" in card(gone, "beta")


def test_what_was_typed_comes_back_with_the_refusal(ada: httpx.Client) -> None:
    answer = post(ada, "link", "gamma", "Ada Lovelace")
    assert answer.status_code == 400
    field = re.search(r'<input [^>]*id="account-gamma"[^>]*>', answer.text)
    assert (
        field and 'value="Ada Lovelace"' in field[0] and 'aria-invalid="true"' in field[0] and "error-gamma" in field[0]
    )
    assert "is not a valid login" in card(answer, "gamma") and 'id="error-gamma"' in card(answer, "gamma")


@pytest.mark.parametrize("text", [HOSTILE, "{{ 7*7 }}", "x" * 5000, "a\x00b", "root\nid", ""])
def test_hostile_input_comes_back_as_text(ada: httpx.Client, text: str) -> None:
    for answer in (
        post(ada, "link", "beta", text),
        post(ada, "link", text or "-", text),
        post(ada, text, "beta", text),
    ):
        assert 400 <= answer.status_code < 500
        assert "<script>alert" not in answer.text and "49" not in re.findall(
            r'name="account" value="(.*?)"', answer.text
        )
        assert "x" * 201 not in answer.text
    if text == HOSTILE:
        assert escape(text) in post(ada, "link", "beta", text).text.replace("&#34;", "&quot;")


def test_a_form_from_elsewhere_does_nothing(ada: httpx.Client, together: Together) -> None:
    data = {"do": "unlink", "centre": "alpha"}
    assert ada.post("accounts", data=data).status_code == 403
    assert ada.post("accounts", data={**data, "_xsrf": "guess"}).status_code == 403
    stranger = httpx.post(f"{together.url}accounts", data=data, trust_env=False)
    assert stranger.status_code == 403
    assert "/hub/login" in httpx.get(f"{together.url}accounts", trust_env=False).headers["location"]


def test_a_listed_link_is_not_undone_here(ada: httpx.Client) -> None:
    answer = post(ada, "unlink", "alpha")
    assert answer.status_code == 422 and "was made by the administrators of Alpha" in card(answer, "alpha")
    assert "u4711" in card(ada.get("accounts"), "alpha")


def test_an_account_of_somebody_else_is_refused_at_the_field(ada: httpx.Client, together: Together) -> None:
    with closing(together.log_in("grace")) as grace:
        answer = post(grace, "link", "alpha", "u4711")
        assert (
            answer.status_code == 422
            and "linked to another person" in card(answer, "alpha")
            and 'value="u4711"' in answer.text
        )
        assert "u4711" not in grace.get("accounts").text


def test_nobody_sees_anothers_command(ada: httpx.Client, together: Together) -> None:
    word = command(post(ada, "link", "gamma", "u5002"), "gamma")
    with closing(together.log_in("grace")) as grace:
        assert word not in grace.get("accounts").text
        assert post(grace, "prove", "gamma", "u5002").status_code == 404


@pytest.mark.parametrize(
    "fault", [Unreachable("beta does not answer within 15 s", hint="Try again."), Denied("beta refuses the login")]
)
def test_a_centre_that_cannot_be_asked_says_so_and_the_command_stays(
    ada: httpx.Client, together: Together, fault: Unreachable
) -> None:
    there = command(post(ada, "link", "beta", "u5001"), "beta")
    together.ways["beta"].fault = fault
    try:
        answer = post(ada, "prove", "beta", "u5001")
    finally:
        together.ways["beta"].fault = None
    assert answer.status_code == 503 and str(fault) in card(answer, "beta") and command(answer, "beta") == there


def test_the_page_stands_without_the_broker_and_keeps_what_was_typed(ada: httpx.Client, together: Together) -> None:
    there = command(post(ada, "link", "beta", "u5001"), "beta")
    together.stop_broker()
    try:
        answer = ada.get("accounts")
        assert (
            answer.status_code == 503
            and "The broker does not answer" in answer.text
            and command(answer, "beta") == there
        )
        typed = post(ada, "link", "gamma", "u5002")
        assert 'value="u5002"' in card(typed, "gamma") and typed.text.count("The broker does not answer") == 1
    finally:
        together.start_broker()
    assert command(ada.get("accounts"), "beta") == there


def test_the_start_page_leads_here(ada: httpx.Client) -> None:
    answer = ada.get("spawn")
    assert 'href="/hub/accounts#centre-beta" >you have no account linked here: link it</a>' in answer.text
    assert "scnet accounts" not in answer.text


# ---- in Chromium


def log_in(page: sync_api.Page, together: Together, person: str) -> None:
    page.goto(f"{together.url}login?next=%2Fhub%2Faccounts")
    page.get_by_label("Username").fill(person)
    page.get_by_label("Password").fill("a-password-for-tests")
    page.get_by_role("button", name="Sign in").click()
    sync_api.expect(page.get_by_role("heading", name="Accounts")).to_be_visible()


@pytest.fixture(scope="module")
def driven() -> Iterator[sync_api.Page]:
    with chromium_page() as page:
        yield page


@pytest.fixture
def browser(driven: sync_api.Page) -> sync_api.Browser:
    assert driven.context.browser
    return driven.context.browser


def picture(page: sync_api.Page, name: str, folder: Path) -> None:
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than {width} px"
        page.screenshot(
            path=str(Path(os.environ.get("SCNET_PICTURES") or folder) / f"{name}-{width}.png"), full_page=True
        )
    page.set_viewport_size({"width": 1280, "height": 900})


def test_a_person_links_and_unlinks_in_the_browser(
    browser: sync_api.Browser, together: Together, tmp_path: Path
) -> None:
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, permissions=["clipboard-read", "clipboard-write"]
    )
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "request",
        lambda request: wrong.append(request.url) if not request.url.startswith((together.url, "data:")) else None,
    )
    expect = sync_api.expect
    log_in(page, together, "mary")
    beta = page.locator("#centre-beta")
    picture(page, "accounts", tmp_path)

    beta.get_by_label("Your account name at Beta").fill("u 1")
    beta.get_by_role("button", name="Get the command").click()
    expect(beta.get_by_role("alert")).to_contain_text("is not a valid login")
    field = beta.get_by_label("Your account name at Beta")
    expect(field).to_be_focused()
    expect(field).to_have_value("u 1")
    picture(page, "accounts-refused", tmp_path)

    field.fill("u6001")
    page.keyboard.press("Enter")
    beta.get_by_role("button", name="Copy").click()
    expect(beta.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == beta.locator("code").inner_text()
    expect(beta.locator("[data-left]")).to_have_text("30 min left")
    beta.get_by_role("button", name="I ran it: check now").click()
    expect(beta.get_by_role("alert")).to_contain_text("does not hold the word yet")
    picture(page, "accounts-command", tmp_path)

    together.run_there("beta", "u6001", copied)
    beta.get_by_role("button", name="I ran it: check now").click()
    expect(page.locator(".scnet-done")).to_have_text("Linked: at Beta your sessions run as u6001.")
    beta.get_by_text("Unlink…").focus()
    page.keyboard.press("Enter")
    picture(page, "accounts-linked", tmp_path)
    beta.get_by_role("button", name="Yes, unlink u6001").click()
    expect(beta.get_by_text("No account linked")).to_be_visible()
    expect(beta.locator(".scnet-earlier")).to_be_hidden()
    beta.get_by_text("Earlier accounts").click()
    expect(beta.locator(".scnet-earlier")).to_contain_text("u6001")
    page.goto(f"{together.url}spawn")
    page.locator('[data-centre="gamma"]').get_by_role("link", name="link it").click()
    page.wait_for_url("**/accounts#centre-gamma")
    assert wrong == []
    context.close()


def test_all_of_it_without_a_script(browser: sync_api.Browser, together: Together) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    expect = sync_api.expect
    log_in(page, together, "grace")
    gamma = page.locator("#centre-gamma")
    gamma.get_by_label("Your account name at Gamma").fill("g1")
    gamma.get_by_role("button", name="Get the command").click()
    expect(gamma.get_by_role("button", name="Copy")).to_be_hidden()
    expect(page.get_by_text("requires JavaScript")).to_be_hidden()
    together.run_there("gamma", "g1", gamma.locator("code").inner_text())
    gamma.get_by_role("button", name="I ran it: check now").click()
    expect(gamma.get_by_text("Linked", exact=True)).to_be_visible()
    gamma.get_by_text("Unlink…").click()
    gamma.get_by_role("button", name="Yes, unlink g1").click()
    expect(gamma.get_by_text("No account linked")).to_be_visible()
    context.close()


def test_what_a_screen_reader_finds(browser: sync_api.Browser, together: Together) -> None:
    context = browser.new_context()
    page = context.new_page()
    log_in(page, together, "ada")
    for one in CENTRES:
        sync_api.expect(page.get_by_role("region", name=one["name"])).to_be_visible()
    nameless = (
        "[...document.querySelectorAll('main input, .scnet-accounts input:not([type=hidden])')].filter((i) => "
        "!i.labels.length)"
    )
    assert page.evaluate(f"{nameless}.length") == 0
    twice = (
        "(() => { const ids = [...document.querySelectorAll('[id]')].map((n) => n.id); return ids.length - new "
        "Set(ids).size; })()"
    )
    assert page.evaluate(twice) == 0
    sync_api.expect(page).to_have_title("Accounts – SCNet Hub")
    context.close()
