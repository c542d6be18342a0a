"""One address, and what follows from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from traitlets.config import Config

from scnet_hub.demo.state import prepare
from scnet_hub.domain.addresses import Address
from scnet_hub.errors import SpecError
from scnet_hub.hub.config import configure
from scnet_hub.hub.ports import Ports
from tests.unit.domain.test_starts import ROW, SPEC


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("https://hub.example.org", "https://hub.example.org/"),
        ("https://Hub.Example.org:443/jupyter", "https://hub.example.org/jupyter/"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/"),
        ("http://h:80/a/b/", "http://h/a/b/"),
        ("http://[::1]:8000/x", "http://[::1]:8000/x/"),
        (" https://h/ ", "https://h/"),
    ],
)
def test_an_address_has_one_way_to_be_written(text: str, whole: str) -> None:
    assert str(Address.parse(text)) == whole


def test_every_other_address_follows() -> None:
    address = Address.parse("https://hub.example.org:8443/jupyter/")
    assert address.api == "https://hub.example.org:8443/jupyter/services/scnet/api/v1"
    assert address.hub_api == "https://hub.example.org:8443/jupyter/hub/api"
    assert (address.host, address.netloc, address.base_path) == ("hub.example.org", "hub.example.org:8443", "/jupyter/")
    assert address.secure and address.named and address.root == "https://hub.example.org:8443/jupyter"
    assert address.at("http://127.0.0.1:8085").api == "http://127.0.0.1:8085/jupyter/services/scnet/api/v1"


@pytest.mark.parametrize(
    "text",
    [
        "", "hub.example.org", "ftp://hub/", "https://", "https://hub/?x=1", "https://hub/#x", "https://ada:pw@hub/", "https://hub:99999/",
        "https://hub/a b/", "https://hub/../x/", "https://hub/%2e%2e/", "https://hub\n/", "http://0.0.0.0:8000/", "http://[::]:8000/",
        "https://hub/<script>/",
    ],
)  # fmt: skip
def test_what_is_not_an_address_is_refused_in_words(text: str) -> None:
    with pytest.raises(SpecError) as said:
        Address.parse(text)
    assert said.value.hint


def test_names_under_an_ip_address_are_refused() -> None:
    with pytest.raises(SpecError, match="IP address"):
        Ports(url="http://192.0.2.1/", subdomains=True).check()
    Ports(url="http://hub.localhost:8000/", subdomains=True).check()


def test_a_hub_with_an_address_that_cannot_be_one_ends_with_a_sentence(tmp_path: Path) -> None:
    for facts, words in (({"url": "hub"}, "does not begin with http"), ({"subdomains": True}, "it is an IP address")):
        (tmp_path / "ports.json").write_text(json.dumps(facts))
        with pytest.raises(SystemExit, match=words):
            configure(Config(), tmp_path)
    with pytest.raises(SpecError, match="IP address"):
        prepare(tmp_path / "new", subdomains=True, centres=["alpha"])
    assert not (tmp_path / "new" / "ports.json").exists()


def test_the_demo_hands_one_address_to_all(tmp_path: Path) -> None:
    state = prepare(tmp_path, url="https://hub.example.org/jupyter", centres=["alpha"])
    broker = json.loads((tmp_path / "broker.json").read_text())
    assert broker["public_url"] == "https://hub.example.org/jupyter/"
    assert broker["proxy_url"] == f"http://127.0.0.1:{state.ports.public}"
    assert broker["hub_api"] == f"http://127.0.0.1:{state.ports.hub}/jupyter/hub/api"
    assert (
        json.loads((tmp_path / "client.json").read_text())["url"]
        == "https://hub.example.org/jupyter/services/scnet/api/v1"
    )
    again = prepare(tmp_path, centres=["alpha"])
    assert again.ports.address == state.ports.address  # it is kept


def test_a_session_calls_home_below_the_path_whatever_way_leads_there() -> None:
    from scnet_hub.domain.sessions import start_file

    home = start_file.Addresses(
        public_url="https://hub.example.org/jupyter",
        call_home="https://hub.example.org/jupyter/services/scnet/api/v1/sessions/{}/call-home",
    )
    near = home.start_file(SPEC, ROW, "http://10.1.0.1:18000")
    assert near["call_home"] == "http://10.1.0.1:18000/jupyter/services/scnet/api/v1/sessions/x1/call-home"
    assert near["hub_host"] == near["env"]["SCNET_API_HOST"] == "hub.example.org"
    far = home.start_file(SPEC, ROW, "")
    assert far["call_home"].startswith("https://hub.example.org/jupyter/") and "SCNET_API_HOST" not in far["env"]
