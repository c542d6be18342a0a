"""`scnet people erase` asks first."""

from __future__ import annotations

import json

from click.testing import CliRunner

from scnet_hub.cli import cli
from scnet_hub.cli.app import App

from .federation import Broker, run

PLACE = "POST people/ada/erase"
ROWS = {"rows": {"mails": 3, "sessions": 12}}


def test_no_name_is_erased_without_a_yes() -> None:
    broker = Broker(**{PLACE: ROWS})
    for answer, code in (("n\n", 1), ("", 1), ("y\n", 0)):
        done = CliRunner().invoke(cli, ["people", "erase", "ada"], obj=App(broker.connect), input=answer)
        assert done.exit_code == code and len(broker.asked) == (not code)
    assert "sessions" in done.stdout and "12" in done.stdout


def test_a_script_says_yes_and_gets_the_counts() -> None:
    done = run("people", "erase", "ada", "--yes", "--json", broker=Broker(**{PLACE: ROWS}))
    assert json.loads(done.stdout) == ROWS


def test_a_refusal_says_what_to_do_first() -> None:
    problem = {
        "code": "still-named",
        "title": "ada is still named on the pages: pi of project p.",
        "hint": "Remove the name from them.",
    }
    done = run("people", "erase", "ada", "--yes", broker=Broker(**{PLACE: (422, problem)}))
    assert done.exit_code == 1 and "pi of project p" in done.stderr and "Remove the name" in done.stderr
