"""People on the pages of a federation and its centres have one name each, whatever the spelling."""

from __future__ import annotations

import pytest

from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.domain.standard.federation import parse_federation
from scnet_hub.errors import SpecError
from scnet_hub.services.projects.projects import members

PAGE = """
centres = ["alpha.toml"]
[[project]]
id = "sea"
members = ["Ada.Lovelace@Example.org", "grace", "GRACE", "zoe\u0308"]
pi = "Grace"
caps = {{ {caps} }}
[[member]]
id = "alpha"
people = ["Nora"]
"""
CENTRE = """
id = "alpha"
name = "Alpha"
transport = {{ kind = "local" }}
session = {{ python = "/usr/bin/python3", directory = "/s" }}
identity = {{ mode = "service", accounts = {{ {accounts} }} }}
[[partition]]
name = "cpu"
cores = 4
"""


def test_members_are_known_by_the_names_that_the_hub_has() -> None:
    page = parse_federation(PAGE.format(caps='"ZOE\u0308" = 5'), source="federation.toml")
    (project,) = page.project
    assert {one.person: (one.role, one.cap) for one in members(project)} == {
        "grace": ("pi", None), "ada.lovelace@example.org": ("member", None), "zo\u00eb": ("member", 5_000_000),
    }  # fmt: skip
    assert page.member[0].people == ["nora"]


def test_two_caps_of_one_person_are_refused_by_both_names() -> None:
    with pytest.raises(SpecError, match="'Grace' and 'grace' are one person"):
        parse_federation(PAGE.format(caps="Grace = 5, grace = 6"), source="federation.toml")


def test_a_centres_list_knows_people_by_the_same_names() -> None:
    spec = parse_centre(CENTRE.format(accounts='"Ada" = "alovelace"'), source="centre.toml")
    assert spec.identity.accounts == {"ada": "alovelace"}
    with pytest.raises(SpecError, match="'Ada' and 'ada' are one person"):
        parse_centre(CENTRE.format(accounts='Ada = "a1", ada = "a2"'), source="centre.toml")
