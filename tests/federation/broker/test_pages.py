"""Tests that the running broker takes maintenance and announcements from its centres' pages, and nothing else; a broken
page changes nothing."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scnet_hub.adapters.centre import Centre
from scnet_hub.adapters.db.database import Database
from scnet_hub.broker.page_watch import Pages
from scnet_hub.domain.jobs import JobRequest, LoadSnapshot, NodeLoad, PartitionLoad
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.domain.standard.federation import parse_federation
from scnet_hub.services.federation import Federation

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
PAGE = """
id = "alpha"
name = "{name}"
transport = {{ kind = "local" }}
session = {{ python = "/usr/bin/python3", directory = "/s" }}
[[partition]]
name = "cpu"
cores = 8
"""
BLOCK = """
[[announcement]]
message = "The file system is full."
start = 2026-11-23T07:00:00Z
end = 2026-11-23T10:00:00Z
blocks_starts = true
"""
REQUEST = JobRequest(person="ada", project="p")
NODE = NodeLoad(name="n1", cores=8, cores_used=0)
SNAPSHOT = LoadSnapshot(taken_at=NOW, partitions={"cpu": PartitionLoad(name="cpu", nodes=(NODE,))})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "federation.toml").write_text('centres = ["alpha.toml"]\n')
    write(tmp_path)
    return tmp_path


def write(home: Path, more: str = "", name: str = "Alpha") -> None:
    text = PAGE.format(name=name)
    (home / "alpha.toml").write_text(f"{text}{more}")


@pytest.fixture
def federation(home: Path) -> Federation:
    spec = parse_centre((home / "alpha.toml").read_text(), source="alpha")
    db = Database(f"sqlite:///{home / 'b.sqlite'}")
    db.open()
    made = Federation(
        parse_federation('centres = ["a"]', source="f"),
        {"alpha": Centre.of(spec)},
        db,
        call_home_url="",
        clock=lambda: NOW,
    )
    made.states.centres["alpha"].update(SNAPSHOT)
    return made


def reread(home: Path, federation: Federation, pages: Pages) -> str:
    """Why nothing can start after the pages were read again; "" if it can."""
    for spec in pages.read():
        federation.announce(spec)
    decision = federation.placing.live.renew(lambda since: (), NOW).place(REQUEST, now=NOW)
    return "" if decision.best else decision.refusals[0].reason


def test_an_announcement_blocks_starts_until_it_is_taken_back(home: Path, federation: Federation) -> None:
    pages = Pages(home / "federation.toml")
    assert reread(home, federation, pages) == ""
    write(home, BLOCK)
    assert reread(home, federation, pages) == "it starts no sessions until 23 Nov 10:00 UTC: The file system is full"
    write(home, BLOCK.replace("true", "false"))
    assert reread(home, federation, pages) == ""


def test_maintenance_counts_without_a_restart(home: Path, federation: Federation) -> None:
    write(
        home,
        f"\n[[maintenance]]\nstart = {NOW + timedelta(minutes=30):%Y-%m-%dT%H:%M:%SZ}\nend = 2026-11-23T10:00:00Z\n",
    )
    assert "maintenance begins in 30 min" in reread(home, federation, Pages(home / "federation.toml"))


def test_a_broken_page_is_logged_once_and_what_stood_stands(
    home: Path, federation: Federation, caplog: pytest.LogCaptureFixture
) -> None:
    pages = Pages(home / "federation.toml")
    write(home, BLOCK)
    assert reread(home, federation, pages)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            write(home, BLOCK.replace("2026-11-23T10", "2026-11-22T10"))
            assert reread(home, federation, pages), "the old announcement stands"
    assert len(caplog.records) == 1 and "end must be after start" in caplog.text and "alpha.toml" in caplog.text


def test_nothing_else_of_a_page_changes_a_running_federation(home: Path, federation: Federation) -> None:
    write(home, BLOCK, name="Omega")
    reread(home, federation, Pages(home / "federation.toml"))
    assert federation.states.centres["alpha"].spec.name == federation.centres["alpha"].spec.name == "Alpha"
    (home / "federation.toml").unlink()
    assert Pages(home / "federation.toml").read() == []
    # a centre that is not here: nothing
    federation.announce(federation.centres["alpha"].spec.model_copy(update={"id": "other"}))


def test_an_announcement_over_is_no_reason(home: Path, federation: Federation) -> None:
    write(home, BLOCK)
    for spec in Pages(home / "federation.toml").read():
        federation.announce(spec)
    later = NOW + timedelta(hours=3)
    federation.states.centres["alpha"].update(replace(SNAPSHOT, taken_at=later))
    assert federation.placing.live.renew(lambda since: (), later).place(REQUEST, now=later).best
