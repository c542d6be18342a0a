"""Tests that the demo's state folder keeps everything that a person wrote into it."""

from __future__ import annotations

from pathlib import Path

from scnet_hub.broker.page_watch import read_federation
from scnet_hub.demo.state import prepare


def test_given_centres_are_all_those_whose_pages_lie_there(tmp_path: Path) -> None:
    (tmp_path / "centres").mkdir()
    for name in "ba":
        (tmp_path / "centres" / f"{name}.toml").write_text(name)
    prepare(tmp_path, centres=["*"])
    assert read_federation(tmp_path / "federation.toml")[1] == {"centres/a.toml": "a", "centres/b.toml": "b"}


def test_a_federations_page_that_somebody_changed_is_kept(tmp_path: Path) -> None:
    prepare(tmp_path, centres=["alpha"])
    page = tmp_path / "federation.toml"
    page.write_text(page.read_text() + "# ours\n")
    prepare(tmp_path, centres=["alpha", "beta"])
    assert page.read_text().endswith("# ours\n")
