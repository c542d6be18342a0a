"""A person logs in whatever case or Unicode form their name is typed in, and is one person to the hub."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scnet_hub.adapters.secret_files import write_secret
from scnet_hub.hub.authenticator import LocalAuthenticator, OneName, hash_password, make_people

COMPOSED, DECOMPOSED = "zo\u00eb", "zoe\u0308"


async def login(file: Path, name: str, password: str) -> str | None:
    found = await LocalAuthenticator(file=str(file)).get_authenticated_user(
        None, {"username": name, "password": password}
    )
    return found["name"] if found else None


@pytest.mark.parametrize(("listed", "typed", "known"), [
    ("Ada.Lovelace@Example.org", "Ada.Lovelace@Example.org", "ada.lovelace@example.org"),  # jupyterhub#2071, #2263
    ("Ada.Lovelace@Example.org", "ada.lovelace@example.ORG", "ada.lovelace@example.org"),
    ("grace", "GRACE", "grace"),
    (COMPOSED, DECOMPOSED, COMPOSED),
    (DECOMPOSED.upper(), COMPOSED, COMPOSED),
])  # fmt: skip
async def test_the_right_password_lets_a_person_in_under_one_name(
    tmp_path: Path, listed: str, typed: str, known: str
) -> None:
    words = make_people(tmp_path / "people.json", [listed])
    assert await login(tmp_path / "people.json", typed, words[listed]) == known
    assert await login(tmp_path / "people.json", typed, "wrong") is None


async def test_a_file_with_capitals_from_before_still_lets_its_people_in(tmp_path: Path) -> None:
    write_secret(tmp_path / "people.json", json.dumps({"Ada": hash_password("right")}))
    assert await login(tmp_path / "people.json", "Ada", "right") == "ada"


async def test_two_spellings_of_one_name_in_the_file_let_neither_in(tmp_path: Path) -> None:
    stored = {name: hash_password(name) for name in ("Ada", "ada", "grace")}
    write_secret(tmp_path / "people.json", json.dumps(stored))
    assert [await login(tmp_path / "people.json", name, name) for name in stored] == [None, None, "grace"]


def test_a_person_is_made_once_whatever_the_spelling(tmp_path: Path) -> None:
    assert [*make_people(tmp_path / "people.json", ["Ada", "ada", "grace"])] == ["Ada", "grace"]
    assert make_people(tmp_path / "people.json", ["ADA"]) == {}
    assert [*json.loads((tmp_path / "people.json").read_text())] == ["ada", "grace"]


def test_any_authenticator_can_give_each_person_one_name() -> None:
    from oauthenticator.generic import GenericOAuthenticator

    class SignIn(OneName, GenericOAuthenticator):
        pass

    assert SignIn(username_map={"the-boss": "Ada"}).normalize_username("The-Boss") == "ada"
    assert SignIn().normalize_username(DECOMPOSED.upper()) == COMPOSED
