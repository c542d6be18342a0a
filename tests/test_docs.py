"""Tests the documentation: links lead to existing targets, and the reference lists what exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import click
import pytest
from batchspawner import SlurmSpawner
from pydantic import BaseModel

from scnet_hub import errors
from scnet_hub.broker.app import calls
from scnet_hub.cli import cli
from scnet_hub.domain.addresses import PREFIX
from scnet_hub.domain.standard.centre import CentreSpec
from scnet_hub.domain.standard.federation import FederationSpec
from scnet_hub.domain.standard.transports import SshTransport
from scnet_hub.hub.spawner import FederatedSpawner

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_every_rest_call_is_in_the_reference() -> None:
    text = (ROOT / "docs/reference/rest.md").read_text()
    for path, methods in calls().openapi()["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path.removeprefix(PREFIX + '/')}`" in text, (method, path)


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


NAMED = re.compile(r"`(?:\.venv/bin/)?scnet ([a-z][a-z-]*)(?: ([a-z][a-z|-]*))?")
SPEAKS = [*PAGES, *(path for end in ("py", "js", "html") for path in (ROOT / "scnet_hub").rglob(f"*.{end}"))]


def test_commands_that_pages_hints_and_docstrings_name_exist() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: scnet {name} {rest}".rstrip()
        for path in (*SPEAKS, *(ROOT / "extensions/hub").rglob("*.html"), *(ROOT / "notebooks").glob("*.ipynb"))
        for name, rest in NAMED.findall(path.read_text())
        if not is_a_command(name, rest)
    ]
    assert not wrong, "\n".join(wrong)


def is_a_command(name: str, rest: str) -> bool:
    """Whether `scnet NAME` is a command, and REST, one word or more between bars, are commands of it if it is a group.
    A word after any other command is an argument."""
    context = click.Context(cli)
    command = cli.resolve_command(context, [name])[1] if name in cli.list_commands(context) else None
    return command is not None and (
        not (rest and isinstance(command, click.Group)) or {*rest.split("|")} <= {*command.list_commands(context)}
    )


def test_a_wrong_command_is_noticed() -> None:
    assert is_a_command("centres", "add|check") and is_a_command("stop", "") and is_a_command("usage", "pull")
    assert not is_a_command("centre", "add") and not is_a_command("centres", "enrol") and not is_a_command("log", "")


MOVE = (ROOT / "docs/how-to/move-from-batchspawner.md").read_text()
PAGES_OF = {"centre.toml": CentreSpec, "federation.toml": FederationSpec}


def table(heading: str) -> list[list[str]]:
    """The rows of the first table under that heading, as cells."""
    part = MOVE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("| ")
    ][2:]


def lies_in(model: type[BaseModel], path: str) -> bool:
    """Whether a page of that model has this key: "partition.name" is one of each table of its list."""
    name, _, rest = path.partition(".")
    if name not in model.model_fields:
        return False
    return not rest or any(lies_in(one, rest) for one in models_in(model.model_fields[name].annotation))


def models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [one for part in get_args(annotation) for one in models_in(part)]


def test_what_batchspawners_options_became_is_there() -> None:
    rows = table("batchspawner") + table("jupyterhub_moss")
    said = [pair for row in rows for pair in re.findall(r"`([a-z_]+\.(?:toml|py)): ([\w.]+)`", "|".join(row))]
    assert len(rows) == 26 and len(said) > 26 and {page for page, _ in said} == {*PAGES_OF, "jupyterhub_config.py"}
    for page, path in said:
        if page in PAGES_OF:
            assert lies_in(PAGES_OF[page], path), f"{page} has no {path}"
        else:
            assert path.partition(".")[0] == "FederatedSpawner" and FederatedSpawner.class_traits(config=True).get(
                path.partition(".")[2]
            )
    assert (
        lies_in(CentreSpec, "transport.hosts")
        and "hosts" in SshTransport.model_fields
        and not lies_in(CentreSpec, "partition.moon")
    )
    for row in table("batchspawner"):
        for option in re.findall(r"`(\w+)`", row[0]):
            assert option in SlurmSpawner.class_traits(config=True), option
