"""Tests that a page that is not readable TOML is refused with a sentence that names it, and stops no other page from
being read."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from scnet_hub.broker.page_watch import Pages, read_federation
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.domain.standard.centre_writer import CentrePage
from scnet_hub.domain.standard.federation import parse_federation
from scnet_hub.enrolment.check import examine
from scnet_hub.errors import SpecError

UNREADABLE = {
    "brackets": f"id = {'[' * 20_000}",
    "tables": f"id = {'{a=' * 5_000}",
    "digits": f"id = {'9' * 5_000}",
    "hexadecimal digits": f"id = 0x{'f' * 5_000}",
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_what_no_parser_can_hold_is_refused(text: str) -> None:
    for parse in (parse_centre, parse_federation):
        with pytest.raises(SpecError, match=r"^a\.toml: not valid TOML"):
            parse(text, source="a.toml")


def test_the_other_pages_are_read(tmp_path: Path) -> None:
    partition = {"name": "main", "cores": 4}
    good = CentrePage(
        id="good",
        title="Good",
        transport={"kind": "local"},
        partition=partition,
        python="/p",
        directory="/d",
        host="",
        memory_per_core=0,
    ).text()
    for name, text in {"federation": 'centres = ["[bg]*.toml"]\n', "bad": UNREADABLE["digits"], "good": good}.items():
        (tmp_path / f"{name}.toml").write_text(text)
    assert [spec.id for spec in Pages(tmp_path / "federation.toml").read()] == ["good"]


@pytest.mark.parametrize("name", ["/etc/hostname", "/etc/*.toml", "a**.toml", "../x.toml"])
def test_paths_that_do_not_lie_beside_the_federations_page_are_refused(tmp_path: Path, name: str) -> None:
    page = tmp_path / "federation.toml"
    page.write_text(f'centres = ["{name}"]\n')
    with pytest.raises(SpecError):
        read_federation(page)


def test_a_page_that_is_no_text_is_a_finding(tmp_path: Path) -> None:
    page = tmp_path / "a.toml"
    page.write_bytes(b"\xff\xfe")
    found = asyncio.run(examine(page, tmp_path))
    assert "UTF-8" in str(found)
