"""Tests `scnet periods` and `scnet statements`: text for people, output for scripts, and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scnet_hub.errors import Refused

from .federation import Broker, run

Json = dict[str, Any]


def period(**changes: Any) -> Json:
    usual: Json = {
        "name": "2026-11",
        "start": "2026-10-31T16:00:00.000Z",
        "end": "2026-11-30T16:00:00.000Z",
        "state": "closing",
    }
    usual |= {"closing_at": "2026-11-30T16:00:10.000Z", "closed_at": None, "closed_by": "", "cut": False, "excuses": {}}
    return usual | {"hinders": ["alpha is not complete: 2026-11-03: no manifest."], "entries": 0, "head": ""} | changes


def statement(**changes: Any) -> Json:
    usual: Json = {
        "name": "2026-11/GRANT/north",
        "period": "2026-11",
        "book": "GRANT",
        "member": "north",
        "title": "North",
        "net": 95.0,
    }
    usual |= {
        "columns": {"earned": 95.0},
        "due": 76.0,
        "due_unit": "CNY",
        "state": "issued",
        "issued_at": "2026-12-03T00:00:00.000Z",
    }
    usual |= {
        "accept_by": "2026-12-17T00:00:00.000Z",
        "words": "",
        "answered_by": "",
        "answered_at": None,
        "trail": [],
        "may": ["accept"],
    }
    lines = [{"column": "earned", "account": "centre:alpha", "amount": 95.0, "entries": 3, "corrects": ""}]
    owed = [{"grantor": "ministry", "member": "north", "rate": 0.8, "credits": 95.0, "money": 76.0}]
    return usual | {"lines": lines, "reimbursements": owed, "entries": 12, "head": "ab" * 32} | changes


NETTING = {
    "period": "2026-11",
    "unit": "CNY",
    "positions": [],
    "payments": [{"payer": "ministry", "payee": "north", "amount": 76.0}],
}
CLOSED = period(
    state="closed",
    closed_by="olga",
    closed_at="2026-12-03T00:00:00.000Z",
    hinders=[],
    entries=12,
    head="ab" * 32,
    cut=True,
)
PART = {
    "position": 1,
    "key": "settle:s1",
    "at": "2026-11-10T00:00:00.000Z",
    "kind": "charge",
    "project": "sea",
    "session": "s1",
}
ANSWERS: Json = {
    "GET_periods": {"as_of": "2026-12-02T00:00:00.000Z", "periods": [period()]},
    "GET_periods/2026-11": period(
        centres=[{"centre": "alpha", "missing": [f"2026-11-0{day}: no manifest" for day in range(3, 8)], "excuse": ""}],
        suspense=[],
        suspended=0,
    ),
    "POST_periods/2026-11/close": {"period": CLOSED, "closed": True, "statements": [statement()], "netting": NETTING},
    "GET_statements": {"statements": [statement()]},
    "GET_statements/2026-11/GRANT/north": statement(),
    "GET_statements/2026-11/GRANT/north/entries": {
        "entries": [
            PART | {"column": "earned", "account": "centre:alpha", "amount": 95.0, "corrects": "", "reverses": ""}
        ],
        "next": 500,
    },
    "POST_statements/2026-11/GRANT/north/dispute": statement(state="disputed"),
    "POST_statements/2026-11/GRANT/north/accept": statement(state="accepted"),
    "POST_statements/2026-11/GRANT/north/settle": statement(state="settled"),
    "GET_periods/2026-11/bills": "BilledCost\r\n1\r\n",
    "GET_periods/2026-11/usage": '{"id": "1"}\n',
}
SHOWN = {
    "periods": ["2026-11", "closing"],
    "periods show 2026-11": [
        "2026-11 is closing",
        "  2026-11-07: no manifest",
        "alpha is not complete: 2026-11-03: no manifest.",
    ],
    "periods close 2026-11": ["2026-11 is closed.", "2026-11/GRANT/north", "ministry pays north 76.00 CNY"],
    "statements": ["2026-11/GRANT/north", "76.00 CNY", "issued"],
    "statements list --member north": ["2026-11/GRANT/north"],
    "statements show 2026-11/GRANT/north": [
        "centre:alpha",
        "ministry owes north 76.00 CNY: 95.00 credits at 0.8",
        "ab" * 32,
    ],
    "statements entries 2026-11/GRANT/north": ["settle:s1", "--after 500"],
    "statements accept 2026-11/GRANT/north": ["2026-11/GRANT/north is accepted."],
    "statements dispute 2026-11/GRANT/north --words wrong": ["is disputed."],
    "statements settle 2026-11/GRANT/north": ["is settled."],
}


@pytest.mark.parametrize("words", SHOWN)
def test_people_read_words_and_scripts_one_document(words: str) -> None:
    result = run(*words.split(), broker=Broker(**ANSWERS))
    assert (result.exit_code, result.stderr) == (0, "")
    for shown in SHOWN[words]:
        assert shown in result.stdout
    result = run(*words.split(), "--json", broker=Broker(**ANSWERS))
    assert (result.exit_code, result.stderr) == (0, "") and isinstance(json.loads(result.stdout), dict)


def test_excuses_and_a_preview_are_sent() -> None:
    broker = Broker(**ANSWERS)
    run("periods", "close", "2026-11", "--excuse", "alpha=its disk broke = all", "--dry-run", broker=broker)
    assert broker.asked == [
        ("POST periods/2026-11/close", {"excuses": {"alpha": "its disk broke = all"}, "preview": True})
    ]
    assert run("periods", "close", "2026-11", "--excuse", "alpha", broker=Broker(**ANSWERS)).exit_code == 2


def test_what_hinders_a_month_is_exit_code_1_with_every_reason_in_the_document() -> None:
    problem = Refused(
        "2026-11 cannot be closed: x", code="period-not-closed", details={"reasons": ["x", "y"]}
    ).problem()
    broker = Broker(**ANSWERS | {"POST_periods/2026-11/close": (422, problem)})
    result = run("periods", "close", "2026-11", "--json", broker=broker)
    assert result.exit_code == 1 and json.loads(result.stdout)["details"]["reasons"] == ["x", "y"]


def test_files_are_written_as_they_come(tmp_path: Path) -> None:
    bills, usage = tmp_path / "bills.csv", tmp_path / "usage.jsonl"
    broker = Broker(**ANSWERS)
    result = run(
        "periods",
        "export",
        "2026-11",
        "--focus",
        str(bills),
        "--usage",
        str(usage),
        "--member",
        "ministry",
        broker=broker,
    )
    assert result.exit_code == 0 and f"{bills}: 15 bytes" in result.stderr
    assert (bills.read_bytes(), usage.read_text()) == (b"BilledCost\r\n1\r\n", '{"id": "1"}\n')
    assert broker.asked[0][1] == {"book": "GRANT", "member": "ministry"}
    assert (
        run("periods", "export", "2026-11", "--focus", "-", broker=Broker(**ANSWERS)).stdout.replace("\r", "")
        == "BilledCost\n1\n"
    )


def test_a_refused_export_leaves_no_file(tmp_path: Path) -> None:
    refused = (422, Refused("2026-11 is open: it has no bills yet.", code="period-open").problem())
    result = run(
        "periods",
        "export",
        "2026-11",
        "--focus",
        str(tmp_path / "x"),
        broker=Broker(**ANSWERS | {"GET_periods/2026-11/bills": refused}),
    )
    assert result.exit_code == 1 and "it has no bills yet" in result.stderr and not (tmp_path / "x").exists()
    result = run("periods", "export", "2026-11", "--focus", str(tmp_path / "no" / "x"), broker=Broker(**ANSWERS))
    assert result.exit_code == 1 and "can't be written" in result.stderr


@pytest.mark.parametrize(
    "words", ["period export 2026-11", "statement show north", "statement accept 2026-11/GRANT", "statement show a//b"]
)
def test_wrong_use_is_exit_code_2(words: str) -> None:
    assert run(*words.split(), broker=Broker(**ANSWERS)).exit_code == 2
