"""Tests that the reference of centre.toml is made from the code and is current."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from scnet_hub.cli import cli
from scnet_hub.cli.commands.centres import LATER
from scnet_hub.domain.standard import reference
from scnet_hub.domain.standard.centre import CentreSpec
from scnet_hub.enrolment import cli as joining
from tests.real.testbed import CENTRES, Place, pages

ROOT = Path(__file__).parents[3]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGCidwULbuVi7uRN77NL4lsVJ+IaSSWQJkOKyINdGEAq"


@pytest.mark.parametrize("path", ["docs/reference/centre.schema.json", "scnet_hub/domain/standard/centre.schema.json"])
def test_the_schema_is_current(path: str) -> None:
    assert (ROOT / path).read_text() == reference.schema_text(), f"scnet centres schema > {path}"


def test_the_page_of_the_reference_is_current() -> None:
    path = "docs/reference/centre.md"
    assert (ROOT / path).read_text() == reference.page(), f"scnet centres schema --page > {path}"


def test_the_command_prints_both() -> None:
    assert CliRunner().invoke(cli, ["centres", "schema"]).stdout == reference.schema_text()
    assert CliRunner().invoke(cli, ["centres", "schema", "--page"]).stdout == reference.page()


def test_every_key_says_what_it_means() -> None:
    silent = [
        f"{name}.{key}"
        for name, table in {"": reference.schema(), **reference.schema()["$defs"]}.items()
        for key, fact in table["properties"].items()
        if not fact.get("description") and "const" not in fact
    ]
    assert not silent


@pytest.mark.parametrize("name", CENTRES)
def test_a_right_page_passes_the_schema(name: str) -> None:
    page = tomllib.loads(pages.page(CENTRES[name], Place(), KEY, watch=(30, 10), listen_port=18000))
    jsonschema.validate(page, reference.schema())


@pytest.mark.parametrize(
    "change",
    [{"id": "No Id"}, {"dialect": "pbs"}, {"colour": "red"}, {"partition": []}, {"transport": {"kind": "ssh"}}],
)
def test_a_wrong_page_does_not(change: dict[str, Any]) -> None:
    page = tomllib.loads(pages.page(CENTRES["a"], Place(), KEY, watch=(30, 10), listen_port=18000))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(page | change, reference.schema())


def test_it_is_json() -> None:
    assert json.loads(reference.schema_text())["required"] == ["id", "name", "transport", "partition", "session"]


# ---- the how-to


GUIDE = (ROOT / "docs/how-to/join-a-centre.md").read_text()


def test_the_examples_of_the_how_to_are_right_pages() -> None:
    whole, *parts = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    assert len(parts) == 2
    for part in ("", *parts):
        page = tomllib.loads(whole) | tomllib.loads(part)
        assert CentreSpec.model_validate(page).id == "beta"
        jsonschema.validate(page, reference.schema())


def test_the_commands_of_the_how_to_are_real() -> None:
    used = re.findall(r"scnet centres (\w+)([^\n`]*)", GUIDE)
    commands = {name: getattr(joining, later.attribute) for name, later in LATER.items()}
    assert {name for name, _ in used} == set(commands) - {"schema"}
    for name, words in used:
        known = {option for parameter in commands[name].params for option in parameter.opts}
        assert {word for word in words.split() if word.startswith("--")} <= known, (name, words)
