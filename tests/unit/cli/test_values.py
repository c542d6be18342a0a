"""Tests arguments at the edges of numbers, amounts and times: each is refused with exit code 2 before any call."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from scnet_hub.cli import cli
from tests.unit.display.test_instants import EDGES

NUMBERS = ("nan", "inf", "-inf", "1e400", "1_0", "\u0661", "1\n", "", "9" * 400)
ARGUMENTS = (
    ("decisions", "--days"), ("allocations", "request", "p", "--why", "x"), ("allocations", "approve", "a", "--amount"),
    ("place", "--cores"), ("place", "--gpus"), ("place", "--nodes"), ("suspense", "decide", "--words", "x"),
    ("simulate", "--days"), ("simulate", "--seed"),
)  # fmt: skip
TIMES = (
    ("usage", "--since"), ("usage", "--until"), ("usage", "pull", "alpha", "--day"), ("simulate", "--since"),
    ("allocations", "request", "p", "5", "--why", "x", "--from"),
    ("allocations", "request", "p", "5", "--why", "x", "--until"),
)  # fmt: skip


@pytest.mark.parametrize("words", ARGUMENTS, ids=" ".join)
def test_odd_numbers_are_wrong_usage(words: tuple[str, ...]) -> None:
    for odd in NUMBERS:
        result = CliRunner().invoke(cli, [*words, odd, *(["drop"] if "decide" in words else [])])
        assert result.exit_code == 2 and result.stderr.startswith("Usage:"), (odd, result.output)


@pytest.mark.parametrize("words", TIMES, ids=" ".join)
def test_odd_times_are_wrong_usage(words: tuple[str, ...]) -> None:
    for odd in filter(None, EDGES):
        result = CliRunner().invoke(cli, [*words, odd])
        assert result.exit_code == 2 and result.stderr.startswith("Usage:"), (odd, result.output)
