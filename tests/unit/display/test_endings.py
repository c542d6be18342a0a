"""Tests how a session ended, in words: from a centre's own word to the sentence for a person, and what to do next."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from scnet_hub.cli.commands.sessions import session_row
from scnet_hub.client.panels.state import session_row as panel_row
from scnet_hub.display import endings

HOUR = timedelta(hours=1)


def ended(reason: str, **facts: Any) -> dict[str, Any]:
    return {
        "state": "charged",
        "live": False,
        "kind": "lab",
        "name": "",
        "end_reason": reason,
        "exit_code": "",
        **facts,
    }


@pytest.mark.parametrize(
    ("state", "reason", "words"),
    [
        ("completed", "", "The program ended by itself."),
        ("failed", "TimeLimit", "It reached the end of its walltime of 1 h (TimeLimit)."),
        ("failed", "timeout", "It reached the end of its walltime of 1 h (timeout)."),
        ("failed", "OUT_OF_MEMORY", "It used more memory than the 2 GiB it had asked for (OUT_OF_MEMORY)."),
        ("failed", "NonZeroExitCode", "The job failed (NonZeroExitCode)."),
        ("failed", "failed", "The job failed."),
        ("lost", "NODE_FAIL", "Lost by the centre (NODE_FAIL): not charged."),
        ("cancelled", "", "Cancelled at the centre."),
    ],
)  # fmt: skip
def test_a_centres_word_becomes_a_sentence(state: str, reason: str, words: str) -> None:
    assert endings.happened(state, reason, walltime=HOUR, memory=2**31) == words


def test_memory_that_was_not_asked_for_is_the_centres_share() -> None:
    assert "than the share it had" in endings.happened("failed", "oom", walltime=HOUR, memory=0)


@pytest.mark.parametrize(
    ("code", "words", "number"),
    [
        ("3:0", "with exit code 3", 3), ("0:9", "by signal 9", 137),
        ("7", "with exit code 7", 7), ("0:0", "", 0), ("", "", None), ("x", "", None),
    ],
)  # fmt: skip
def test_an_exit_code_is_told_as_a_shell_does(code: str, words: str, number: int | None) -> None:
    assert endings.exit_words(code) == words and endings.exit_code({"exit_code": code}) == number


def test_a_failure_says_failed_with_its_exit_code_in_every_client() -> None:
    one = ended(
        "The job failed (NonZeroExitCode).\nLast lines of its log:\nKeyError: 'x'",
        exit_code="3:0",
        kind="batch",
        name="train",
    )
    assert endings.outcome(one) == "failed" and endings.cause(one) == "The job failed with exit code 3."
    assert endings.log_end(one) == "KeyError: 'x'"
    whole = one | {
        "id": "s1", "centre": "alpha", "centre_name": "Alpha", "partition": "p", "cores": 1, "gpus": 0,
        "expires_at": None, "charged": 1.0, "in_flight": 0.0,
    }  # fmt: skip
    shown = panel_row(whole)
    assert (shown["word"], shown["tone"], shown["detail"]) == ("failed", "bad", "The job failed with exit code 3.")
    row = session_row(whole, None)  # type: ignore[arg-type]
    assert row[5] == "failed" and row[-1] == "The job failed with exit code 3."


@pytest.mark.parametrize(
    ("reason", "outcome", "hint"),
    [
        ("The program ended by itself.", "done", ""),
        ("Stopped on request.", "stopped", ""),
        ("Continued in the next session.", "stopped", ""),
        ("Stopped: nothing ran in it for 1 h.", "stopped", "when you need it"),
        ("Stopped because credits ran out. Project p has 0.", "stopped", "more credits"),
        ("It reached the end of its walltime of 1 h (TIMEOUT).", "failed", "longer time"),
        ("It used more memory than the 2 GiB it had asked for.", "failed", "more memory"),
        ("Lost by the centre (NODE_FAIL): not charged.", "failed", "another centre"),
        ("Alpha knows nothing of this job any more: not charged.", "failed", "operators of its centre"),
        ("Something else.", "failed", "operators of its centre"),
    ],
)  # fmt: skip
def test_each_end_says_what_to_do(reason: str, outcome: str, hint: str) -> None:
    one = ended(reason)
    assert endings.outcome(one) == outcome
    assert hint in endings.advice(one) if hint else endings.advice(one) == ""


def test_the_session_without_a_name_is_the_default_one() -> None:
    assert endings.called({"name": ""}) == "default" and endings.called({"name": "gpu"}) == "gpu"
