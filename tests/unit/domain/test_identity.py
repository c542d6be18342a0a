"""Tests that a person has one name whatever the spelling, that their account is one safe path segment, and that
different people never share an account."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from jupyterhub.auth import Authenticator

from scnet_hub.domain.identifiers import account, alike, person


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_accounts_are_safe_and_distinct(one: str, other: str) -> None:
    segment = account(one)
    assert "/" not in segment and not segment.startswith(".") and "\0" not in segment and segment
    assert (account(other) == segment) == (one == other)


def test_plain_names_stay_as_they_are() -> None:
    assert account("ada.lovelace-1") == "ada.lovelace-1"
    assert account("../x") == "=2e.=2fx"


@given(st.text(max_size=40))
def test_a_person_has_one_normal_form(name: str) -> None:
    one = person(name)
    assert person(one) == one
    assert {person(unicodedata.normalize(form, name)) for form in ("NFC", "NFD")} == {one}


@given(st.text(st.characters(codec="ascii"), max_size=40))
def test_plain_names_are_as_jupyterhub_has_them(name: str) -> None:
    assert person(name) == Authenticator().normalize_username(name) == person(name.upper())


def test_spellings_of_one_person_are_found() -> None:
    assert alike(["Ada", "grace", "ada", "Ada", "zo\u00eb", "zoe\u0308"]) == {
        "ada": ("Ada", "ada"),
        "zo\u00eb": ("zo\u00eb", "zoe\u0308"),
    }
    assert person("Straße") == "straße" and not alike(["straße", "strasse"])
