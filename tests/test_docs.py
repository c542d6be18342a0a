"""Documentation is checked: links lead somewhere, and what the reference lists is what there is."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from scnet_hub import errors
from scnet_hub.broker.routes import router
from scnet_hub.cli import cli

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_every_rest_call_is_in_the_reference() -> None:
    text = (ROOT / "docs/reference/rest.md").read_text()
    for route in router.routes:
        path = re.sub(r"\{\w+\}", "ID", route.path).lstrip("/")  # type: ignore[attr-defined]
        method = next(iter(route.methods))  # type: ignore[attr-defined]
        assert re.search(rf"`{method} {re.escape(path)}\b", text), f"{method} {path}"


def test_every_error_is_in_the_reference() -> None:
    text = (ROOT / "docs/reference/errors.md").read_text()
    assert not [code for code in errors.KINDS if f"`{code}`" not in text]


def test_the_readme_shows_the_two_commands_first() -> None:
    text = (ROOT / "README.md").read_text()
    assert text.index("make demo") < text.index("make test") < text.index("![")


def test_every_command_is_in_the_reference() -> None:
    text = (ROOT / "docs/reference/cli.md").read_text()
    names = cli.list_commands(click.Context(cli))
    assert len(names) > 5 and not [name for name in names if f"`scnet {name}" not in text]
