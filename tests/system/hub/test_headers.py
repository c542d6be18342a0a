"""Tests the headers of each answer of hub and broker, and what their cookies may be used for."""

from __future__ import annotations

from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest

from scnet_hub.domain.addresses import PREFIX, Address
from scnet_hub.hub.headers import policy
from tests.builders.chromium import chromium_page
from tests.system.hub.together import Together

PAGES = (
    "login", "home", "spawn", "accounts", "usage", "usage.csv", "project?id=climate", "placement", "settlement",
    "statements", "statement?name=x", "token", "confirm", "admin", "logout", "no-such-page", "scnet/offers",
    "scnet/static/scnet.css", "static/css/style.min.css", "user/olga/", "spawn-pending/olga", "api/", "health",
    "error/404", "scnet/static/none.css", "scnet/static/", "static/none.css", "logo", "/robots.txt",
)  # fmt: skip
CALLS = (
    "health",
    "me",
    "sessions",
    "balances",
    "entries?project=climate",
    "no/such/call",
    "sessions/none",
    "metrics",
    "openapi.json",
)


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Together]:
    made = Together(tmp_path_factory.mktemp("headers"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def olga(together: Together) -> Iterator[httpx.Client]:
    client = together.log_in("olga")
    yield client
    client.close()


@pytest.mark.parametrize("page", PAGES)
def test_every_page_says_how_it_may_be_used(olga: httpx.Client, page: str) -> None:
    answer = olga.get(page, follow_redirects=False)
    assert answer.status_code < 500
    assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Referrer-Policy"] == "same-origin"
    if "text/html" in answer.headers.get("Content-Type", ""):
        said = answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in said and "default-src 'self'" in said and "object-src 'none'" in said


@pytest.mark.parametrize("call", CALLS)
def test_every_answer_of_the_broker_is_data(together: Together, call: str) -> None:
    token = (together.home / "secrets" / "hub.token").read_text()
    for headers in ({"Authorization": f"token {token}", "X-SCNet-Person": "ada"}, {}):
        url = f"http://127.0.0.1:{together.ports['broker']}{PREFIX}/{call}"
        answer = httpx.get(url, headers=headers, trust_env=False)
        assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_cookies_do_not_come_along_from_other_sites(together: Together) -> None:
    with httpx.Client(base_url=together.url, trust_env=False) as person:
        form = person.get("login")
        data = {"username": "ada", "password": "a-password-for-tests", "_xsrf": person.cookies["_xsrf"]}
        done = person.post("login", data=data, headers={"Sec-Fetch-Site": "same-origin"})
        set_cookies = [*form.headers.get_list("set-cookie"), *done.headers.get_list("set-cookie")]
    found = {name: morsel["samesite"] for one in set_cookies for name, morsel in SimpleCookie(one).items()}
    assert {"_xsrf", "jupyterhub-hub-login", "jupyterhub-session-id"} <= set(found) and set(found.values()) == {"Lax"}


def test_a_browser_that_comes_by_tls_to_an_http_address_is_named_in_the_log_once(together: Together) -> None:
    for _ in range(2):
        httpx.get(
            f"{together.url}login", headers={"X-Forwarded-Proto": "https", "Accept": "text/html"}, trust_env=False
        )
        httpx.get(f"{together.url}api/", headers={"X-Forwarded-Proto": "https"}, trust_env=False)
    assert (together.home / "hub.log").read_text().count(
        "A browser connected by https, but this installation's address is http://"
    ) == 1


def test_a_form_may_lead_to_a_persons_own_name_only_where_each_has_one() -> None:
    address = Address.parse("https://hub.example.org/jupyter/")
    assert "form-action 'self';" in policy(address, False) and "/jupyter/hub/security/csp-report" in policy(
        address, False
    )
    assert "form-action 'self' https://*.hub.example.org;" in policy(address, True)


def test_no_template_of_ours_needs_more_than_the_policy_allows() -> None:
    """Nothing is loaded from elsewhere."""
    for page in (Path(__file__).parents[3] / "extensions" / "hub").rglob("*.html"):
        assert 'src="http' not in page.read_text() and "eval(" not in page.read_text(), page


def test_no_page_breaks_its_own_policy_in_a_browser(together: Together) -> None:
    """Stock pages load scripts of their own: each works under the policy that it is sent with."""
    said: list[str] = []
    with chromium_page() as page:
        page.on(
            "console",
            lambda message: (
                said.append(f"{page.url}: {message.text}") if "Content Security Policy" in message.text else None
            ),
        )
        page.goto(f"{together.url}login")
        page.fill("input[name=username]", "olga")
        page.fill("input[name=password]", "a-password-for-tests")
        page.click("#login_submit")
        page.wait_for_url("**/hub/**")
        for name in (
            "home",
            "spawn",
            "accounts",
            "usage",
            "project?id=climate",
            "placement",
            "settlement",
            "statements",
            "token",
            "admin",
        ):
            page.goto(f"{together.url}{name}")
            page.wait_for_load_state("networkidle")
        assert page.locator("#root, .container").count()
    assert not [one for one in said if "Content Security Policy" in one]


def test_the_hub_serves_the_panels_script_for_times(olga: httpx.Client) -> None:
    answer = olga.get("scnet/static/times.js")
    assert answer.status_code == 200 and "javascript" in answer.headers["Content-Type"]
    assert "export function local" in answer.text and "times.js" in olga.get("scnet/static/scnet-times.js").text
