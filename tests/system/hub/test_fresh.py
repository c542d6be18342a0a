"""Tests that actions which could be misused for long need a recent login: account links, tokens, answers to statements,
closing a month."""

from __future__ import annotations

import binascii
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from tornado.web import create_signed_value

from scnet_hub.hub.fresh_login import COOKIE, FRESH, LONGEST_TOKEN
from tests.system.hub.together import Together

SAME = {"Sec-Fetch-Site": "same-origin"}
DAY = 24 * 3600


TOO_EARLY = """
from scnet_hub.hub.authenticator import NotNow
from scnet_hub.hub.login_throttle import Wait

class Door(DummyAuthenticator):
    async def authenticate(self, handler, data):
        if data["password"] == "too early":
            raise NotNow(Wait("There were 100 % too many wrong passwords. Try again in 9 s.", 9, 429))
        return await super().authenticate(handler, data)

c.JupyterHub.authenticator_class = Door
c.Door.password = "a-password-for-tests"
"""


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Together]:
    made = Together(tmp_path_factory.mktemp("fresh"), settings=TOO_EARLY)
    made.start()
    yield made
    made.stop()


@contextmanager
def logged_in(together: Together, person: str, *, ago: timedelta = timedelta()) -> Iterator[httpx.Client]:
    """Who logged in that long ago."""
    client = together.log_in(person)
    if ago:
        secret = binascii.a2b_hex((together.home / "secrets" / "cookie_secret").read_bytes().strip())
        old = create_signed_value(secret, COOKIE, person, clock=lambda: time.time() - ago.total_seconds())
        client.cookies.delete(COOKIE)
        client.cookies.set(COOKIE, old.decode(), path="/hub/", domain="127.0.0.1")
    yield client
    client.close()


def post(client: httpx.Client, page: str, **form: str) -> httpx.Response:
    return client.post(page, data={"_xsrf": client.cookies["_xsrf"], **form}, headers=SAME, follow_redirects=False)


def new_token(client: httpx.Client, person: str, **body: object) -> httpx.Response:
    headers = {**SAME, "X-XSRFToken": client.cookies["_xsrf"], "Sec-Fetch-Mode": "cors"}
    return client.post(f"api/users/{person}/tokens", json=body, headers=headers)


LATE = FRESH + timedelta(minutes=1)
CHANGES = (
    ("ada", "accounts", {"do": "link", "centre": "alpha", "account": "u4711"}),
    ("ada", "accounts", {"do": "unlink", "centre": "alpha"}),
    ("ada", "statement", {"do": "accept", "name": "2026-11/GRANT/M", "words": "yes"}),
    ("olga", "settlement", {"do": "close", "at": "2026-11"}),
    ("olga", "project", {"do": "approve", "project": "climate", "allocation": "a1", "amount": "5"}),
    ("olga", "project", {"do": "decline", "project": "climate", "allocation": "a1", "words": "no"}),
)


@pytest.mark.parametrize(("person", "page", "form"), CHANGES)
def test_a_change_needs_a_login_of_the_last_minutes(
    together: Together, person: str, page: str, form: dict[str, str]
) -> None:
    with logged_in(together, person, ago=LATE) as late:
        answer = post(late, page, **form)
        assert answer.status_code == 403 and "Confirm first that it is you" in answer.text, answer.text[:500]
    with logged_in(together, person, ago=FRESH - timedelta(minutes=1)) as fresh:
        assert "Confirm first that it is you" not in post(fresh, page, **form).text


def test_a_page_says_so_before_anything_is_typed_and_leads_to_where_one_confirms(together: Together) -> None:
    with logged_in(together, "ada", ago=LATE) as ada:
        for page in ("accounts", "token"):
            shown = ada.get(page)
            assert shown.status_code == 200
            assert f'href="/hub/confirm?next=%2Fhub%2F{page}"' in shown.text
        form = ada.get("confirm?next=/hub/accounts")
        assert 'type="password"' in form.text and "ada" in form.text
        wrong = post(ada, "confirm", next="/hub/accounts", password="not this")
        assert wrong.status_code == 403 and "The password is wrong." in wrong.text
        assert "Confirm first" in post(ada, "accounts", do="unlink", centre="alpha").text
        early = post(ada, "confirm", next="/hub/accounts", password="too early")
        assert early.status_code == 429 and int(early.headers["Retry-After"]) >= 9 and 'type="password"' in early.text
        assert "There were 100 % too many wrong passwords. Try again in 9 s." in early.text and "next" in early.text
        right = post(ada, "confirm", next="/hub/accounts", password="a-password-for-tests")
        assert (right.status_code, right.headers["Location"]) == (303, "/hub/accounts")
        assert "confirm?next" not in ada.get("accounts").text
    with logged_in(together, "ada") as ada:
        assert "confirm?next" not in ada.get("accounts").text


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example/", "/user/ada/lab", "\\\\evil.example", ""])
def test_confirming_leads_nowhere_but_to_pages_of_the_hub(together: Together, to: str) -> None:
    with logged_in(together, "ada") as ada:
        done = post(ada, "confirm", next=to, password="a-password-for-tests")
        assert done.headers["Location"] == "/hub/home"


def test_a_confirmation_counts_for_its_own_person_only(together: Together) -> None:
    with logged_in(together, "ada") as ada, logged_in(together, "mary", ago=LATE) as mary:
        theirs = ada.cookies[COOKIE]
        mary.cookies.delete(COOKIE)
        mary.cookies.set(COOKIE, theirs, path="/hub/", domain="127.0.0.1")
        assert new_token(mary, "mary", note="stolen").status_code == 403


def test_a_token_is_made_by_a_recent_login_and_lives_90_days_at_most(together: Together) -> None:
    with logged_in(together, "ada", ago=LATE) as ada:
        refused = new_token(ada, "ada", note="n")
        assert refused.status_code == 403 and "Confirm first" in refused.json()["message"]
    with logged_in(together, "ada") as ada:
        made = new_token(ada, "ada", note="n").json()  # without an end
        ends = datetime.fromisoformat(made["expires_at"])
        ends = ends if ends.tzinfo else ends.replace(tzinfo=UTC)
        assert timedelta(days=89) < ends - datetime.now(UTC) <= LONGEST_TOKEN
        assert new_token(ada, "ada", expires_in=91 * DAY).status_code == 400
        token = {"Authorization": f"token {made['token']}"}
        with httpx.Client(base_url=together.url, trust_env=False, timeout=30) as program:
            further = program.post("api/users/ada/tokens", json={"note": "by a token"}, headers=token)
            assert further.status_code == 201 and further.json()["expires_at"]


def test_a_token_does_not_outlive_the_one_that_made_it(together: Together) -> None:
    with logged_in(together, "ada") as ada:
        token = {"Authorization": f"token {new_token(ada, 'ada', expires_in=600).json()['token']}"}
    with httpx.Client(base_url=together.url, trust_env=False, timeout=30, headers=token) as program:
        for body in (b"", b"{}", b'{"note": "x"}', b'{"expires_in": 60}'):
            made = program.post("api/users/ada/tokens", content=body)
            ends = datetime.fromisoformat(made.json()["expires_at"])
            assert made.status_code == 201 and ends - datetime.now(UTC) <= timedelta(seconds=600), made.text
        refused = program.post("api/users/ada/tokens", json={"expires_in": DAY})
        assert refused.status_code == 400 and "the token of this call expires in" in refused.json()["message"]


@pytest.mark.parametrize(
    "body",
    [{"note": ["x"]}, {"note": {"a": 1}}, {"note": 5}, {"expires_in": 0}, {"expires_in": "1"}, {"roles": "user"}, [1]],
)
def test_a_wrong_wish_for_a_token_is_refused(together: Together, body: object) -> None:
    with logged_in(together, "ada") as ada:
        headers = {**SAME, "X-XSRFToken": ada.cookies["_xsrf"], "Sec-Fetch-Mode": "cors"}
        assert ada.post("api/users/ada/tokens", json=body, headers=headers).status_code == 400


def test_the_page_of_tokens_lists_each_with_its_end(together: Together) -> None:
    with logged_in(together, "mary") as mary:
        made = new_token(mary, "mary", note="<b>laptop", expires_in=DAY)
        page = mary.get("token").text
        assert made.json()["token"] not in page and "&lt;b&gt;laptop" in page and "<b>laptop" not in page
        assert (
            f'data-token-id="{made.json()["id"]}"' in page
            and page.count('data-label="Expires"') == 1
            and 'id="request-token-form"' in page
        )
