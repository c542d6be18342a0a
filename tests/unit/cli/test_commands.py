"""Commands of `scnet`: what people read, what scripts read, and how each failure ends."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner

from scnet_hub.cli.app import plain
from scnet_hub.cli.commands.centres import LATER
from scnet_hub.cli.groups import Group, Later
from scnet_hub.errors import BrokerError, NoPlacement, NotFound

from .federation import ANSWERS, Broker, balance, centre, run, session

READING = ["centres", "place", "sessions", "balances", "logs s-1", "accounts", "allocations", "projects", "tariffs"]


@pytest.mark.parametrize("words", READING)
def test_json_is_one_document_on_stdout_and_nothing_on_stderr(words: str) -> None:
    result = run(*words.split(), "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert isinstance(json.loads(result.stdout), dict)


@pytest.mark.parametrize("words", READING)
def test_a_refusal_is_exit_code_1_with_its_words_on_stderr(words: str) -> None:
    problem = (404, NotFound("There is no such thing.", hint="Look again.").problem())
    broker = Broker(**{name.replace(" ", "_", 1): problem for name in ANSWERS})
    result = run(*words.split(), broker=broker)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "There is no such thing.\nLook again.\n"


@pytest.mark.parametrize("words", READING)
def test_a_refusal_with_json_is_the_problem_document_on_stdout(words: str) -> None:
    problem = NotFound("There is no such thing.").problem()
    broker = Broker(**{name.replace(" ", "_", 1): (404, problem) for name in ANSWERS})
    result = run(*words.split(), "--json", broker=broker)
    assert (result.exit_code, result.stderr) == (1, "")
    assert json.loads(result.stdout) == problem


@pytest.mark.parametrize(
    "answer", ["<html>Not the broker</html>", {"unexpected": 1}, {"centres": [{}]}, {"centres": None}]
)
def test_an_answer_that_is_not_the_brokers_is_said_so(answer: Any) -> None:
    result = run("centres", broker=Broker(GET_centres=answer))
    assert result.exit_code == 1
    assert "not a broker of this version" in result.stderr


def test_a_silent_broker_says_that_sessions_go_on() -> None:
    result = run("sessions", "--json", broker=Broker(GET_sessions=httpx.ConnectError("refused")))
    assert result.exit_code == 1
    assert json.loads(result.stdout)["code"] == "broker-unreachable"


def test_no_broker_at_all_says_how_to_get_one() -> None:
    def connect() -> Any:
        raise BrokerError("No SCNet Hub found.", hint="Start one with `scnet demo`.", code="no-broker")

    result = run("centres", connect=connect)
    assert (result.exit_code, result.stderr) == (1, "No SCNet Hub found.\nStart one with `scnet demo`.\n")


@pytest.mark.parametrize(
    "words", ["nonsense", "place --cores 0", "place --cores x", "stop", "logs", "sessions --nonsense"]
)
def test_wrong_usage_is_exit_code_2(words: str) -> None:
    result = run(*words.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error" in result.stderr


def test_centres_show_what_is_free_at_which_price() -> None:
    result = run("centres")
    head, alpha, _ = result.stdout.splitlines()
    assert head.split()[:3] == ["centre", "name", "state"]
    assert alpha.split() == ["alpha", "Alpha", "up", "12/16", "-", "1", "0", "1.00", "to", "2.50", "-", "4", "s", "ago"]


def test_a_centre_that_is_down_says_why_and_keeps_its_line() -> None:
    down = centre("beta", state="down", why="Beta has not answered since 09:00", age_s=None)
    result = run("centres", broker=Broker(GET_centres={"centres": [centre("alpha"), down]}))
    assert result.exit_code == 0
    assert "none yet" in result.stdout and "beta: Beta has not answered since 09:00" in result.stderr


def test_place_sends_only_what_was_asked() -> None:
    broker = Broker()
    run(
        "place",
        "--cores",
        "4",
        "--gpus",
        "0",
        "--walltime",
        "1h",
        "--memory",
        "8G",
        "--centre",
        "alpha",
        "--project",
        "sea",
        broker=broker,
    )
    options = {"cores": 4, "gpus": 0, "walltime": "1h", "memory": "8G", "centre": "alpha", "project": "sea"}
    assert broker.asked == [("POST placements", options)]


def test_place_shows_the_reason_the_runners_up_and_every_refusal() -> None:
    out = run("place").stdout
    assert out.startswith("Alpha, partition cpu: would start now.\n")
    assert "behind 3 queued jobs" in out and "not gamma/cpu: the centre is down" in out


def test_no_place_is_exit_code_1_with_the_whole_placement() -> None:
    nowhere = ANSWERS["POST placements"] | {"best": None, "ranked": [], "reason": "No centre can take this now."}
    for words in (["place"], ["place", "--json"]):
        result = run(*words, broker=Broker(POST_placements=nowhere))
        assert result.exit_code == 1
        assert "No centre can take this now." in result.stdout and "the centre is down" in result.stdout


def test_a_refused_placement_is_the_brokers_problem() -> None:
    result = run("place", "--json", broker=Broker(POST_placements=(409, NoPlacement("No.").problem())))
    assert (result.exit_code, json.loads(result.stdout)["code"]) == (1, "no-placement")


def test_sessions_show_the_time_left_and_an_estimate_as_one() -> None:
    row = run("sessions").stdout.splitlines()[1]
    assert "1 h 30 min" in row and "~0.50" in row


def test_sessions_ask_for_ended_ones_only_when_told() -> None:
    broker = Broker()
    run("sessions", broker=broker)
    run("sessions", "--all", broker=broker)
    assert broker.asked == [("GET sessions", {}), ("GET sessions", {"all": "1"})]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"live": False, "state": "charged", "charged": 2.25, "end_reason": "walltime reached"},
            ["2.25", "walltime reached"],
        ),
        ({"unknown_since": "09:01", "unknown_why": "no route"}, ["centre has not answered since 09:01: no route"]),
        ({"state": "queued", "place_in_queue": 3, "reason": "Resources"}, ["place 3 in the queue, Resources"]),
        ({"centre": "", "partition": "", "state": "intent", "expires_at": None, "in_flight": 0}, ["preparing"]),
    ],
)
def test_a_session_says_what_is_to_be_known_of_it(changes: dict[str, Any], words: list[str]) -> None:
    out = run("sessions", broker=Broker(GET_sessions={"as_of": None, "sessions": [session(**changes)]})).stdout
    assert all(word in out for word in words)


def test_no_sessions_is_a_sentence() -> None:
    assert run("sessions", broker=Broker(GET_sessions={"sessions": []})).stdout == "No sessions.\n"


def test_stop_says_that_the_centre_is_asked() -> None:
    assert run("stop", "s-1").stdout == "s-1 is stopping; Alpha will be asked until it confirms.\n"


def test_logs_print_the_text_as_it_is_but_no_terminal_controls() -> None:
    assert run("logs", "s-1").stdout == "starting\nready\n"
    nasty = {"log": "a\x1b]0;title\x07b\x1b[31mred\x1b[0m\x08\n"}
    assert run("logs", "s-1", broker=Broker(**{"GET_sessions/s-1/log": nasty})).stdout == "abred\n"


def test_plain_keeps_words_of_every_script() -> None:
    assert plain("西安 центр\tä\n") == "西安 центр\tä\n"


def test_balance_shows_amounts_and_quotas() -> None:
    row = run("balances").stdout.splitlines()[1]
    for words in ("1,000.00", "10.00", "0.0500", "3.95", "986.00", "1 of 8"):
        assert words in row


def test_a_balance_tells_the_ceilings_that_each_person_has() -> None:
    mine = [
        {"whose": "Each member of project sea", "what": what, "used": 1, "limit": 2, "would_pass": 1}
        for what in ("cores", "gpus")
    ]
    answer = {"as_of": "2026-11-20T09:00:00.000Z", "balances": [balance(my_quota=mine)]}
    out = run("balances", broker=Broker(GET_balances=answer)).stdout
    assert "sea: Each member of project sea has a ceiling: you use 1 of 2 cores, 1 of 2 GPUs." in out


def test_a_project_shows_its_lots_its_people_and_what_waits() -> None:
    out = run("projects", "show", "sea").stdout
    for words in (
        "Sea ice (sea, research)",
        "in 7 days",
        "spring",
        "ministry",
        "986.00",
        "pi",
        "all",
        "500.00 credits, requested on 2026-11-20",
    ):
        assert words in out


def test_a_quote_is_printed_and_starts_nothing() -> None:
    broker = Broker()
    out = run("quote", "--cores", "4", "--walltime", "1h", broker=broker).stdout
    assert out == "At Alpha, partition cpu:\nAt most 4.80 credits: the whole walltime.\nProbably 2.40 credits: half.\n"
    run("quote", "--kind", "batch", broker=broker)
    assert broker.asked == [("POST quotes", {"cores": 4, "walltime": "1h"}), ("POST quotes", {"kind": "batch"})]


def test_an_allocation_is_asked_for_and_answered() -> None:
    broker = Broker()
    asked = run(
        "allocations",
        "request",
        "sea",
        "500",
        "--why",
        "tides",
        "--until",
        "2027-11-20",
        "--centre",
        "alpha",
        broker=broker,
    )
    assert asked.exit_code == 0 and "requested" in asked.stdout
    assert broker.asked[-1][1] == {
        "project": "sea", "amount": 500.0, "words": "tides", "begins_at": "", "ends_at": "2027-11-20",
        "centres": ["alpha"], "renews": "",
    }  # fmt: skip
    assert "active" in run("allocations", "approve", "a-1", "--words", "enjoy").stdout
    assert "a-1" in run("allocations").stdout and json.loads(run("allocations", "list", "--json").stdout)["allocations"]


def test_verify_says_that_the_books_are_right_and_fails_where_they_are_not() -> None:
    right = run("ledger", "verify")
    assert right.exit_code == 0 and "The books are right: 1,200 entries, 1,200 of them sealed." in right.stdout
    wrong = {
        "ok": False,
        "entries": 2,
        "sealed": 1,
        "head": "",
        "found": 30,
        "problems": ["entry 1 (place 1 of the chain) is not what was sealed"],
    }
    said = run("ledger", "verify", broker=Broker(**{"GET_ledger/verify": wrong}))
    assert (
        said.exit_code == 1
        and "NOT right" in said.stdout
        and "- entry 1 (place 1" in said.stdout
        and "and 29 more" in said.stdout
    )
    assert run("ledger", "verify", "--json", broker=Broker(**{"GET_ledger/verify": wrong})).exit_code == 1


def test_markup_in_a_name_is_only_text() -> None:
    out = run("centres", broker=Broker(GET_centres={"centres": [centre("alpha", name="[red]A[/red] :smile:")]})).stdout
    assert "[red]A[/red] :smile:" in out


def test_help_names_every_command_without_loading_the_demo() -> None:
    import sys

    sys.modules.pop("scnet_hub.demo.cli", None)
    out = run("--help").stdout
    for name in ("balances", "centres", "demo", "doctor", "logs", "place", "sessions", "stop"):
        assert f"\n  {name} " in out
    assert "scnet_hub.demo.cli" not in sys.modules


def test_a_command_that_is_not_installed_says_what_it_needs() -> None:
    group = Group("scnet", later={"fly": Later("scnet_hub.no_such_module", "fly", "…")})
    result = CliRunner().invoke(group, ["fly"])
    assert result.exit_code == 1
    assert "`scnet fly` needs more packages" in result.stderr and "make setup" in result.stderr


def test_what_joins_a_centre_is_loaded_only_when_it_is_called() -> None:
    assert run("centres", "--help").stdout.count("On the hub's machine") == 5
    for name, later in LATER.items():
        command = getattr(import_module(later.module), later.attribute)
        assert (command.name, isinstance(command, click.Command)) == (name, True)


def test_the_events_of_a_session_is_its_events() -> None:
    happened = [{"at": "2026-11-20T09:00:00.000Z", "message": "Placed at Alpha.\x1b[31m"}]
    broker = Broker(**{"GET_sessions/s-1": session(events=happened)})
    assert run("logs", "s-1", "--events", broker=broker).stdout == "20 Nov 09:00:00 UTC  Placed at Alpha.\n"
    document = json.loads(run("logs", "s-1", "--events", "--json", broker=broker).stdout)
    assert document == {"id": "s-1", "events": happened}
    assert run("logs", "s-1", "--events", "--follow").exit_code == 2


def test_projects_are_listed_and_the_default_is_marked() -> None:
    head, row = run("projects").stdout.splitlines()
    assert head.split() == ["project", "title", "default"] and row.split() == ["sea", "Sea", "ice", "yes"]


def test_orphans_are_shown_with_what_becomes_of_them() -> None:
    said = run("orphans").stdout
    assert all(word in said for word in ("scnet-aaaabbbbcccc", "it is being stopped", "ben", "20 Nov 09:10:00 UTC"))
    none = run("orphans", broker=Broker(GET_orphans={"as_of": None, "jobs": [], "sessions": []}))
    assert none.exit_code == 0 and "None" in none.stdout


def test_an_operator_writes_a_session_off() -> None:
    assert "Written off." in run("write-off", "s-1").stdout
