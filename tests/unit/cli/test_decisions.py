"""`scnet place --explain` and `--replay`, and the operators' `scnet decisions`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scnet_hub.errors import NotFound

from .federation import Broker, run

Json = dict[str, Any]
WORDS = ["ada asked for a JupyterLab session.", "Expected to start now; it was ready after 2 s at Alpha."]
FIGURES: Json = {
    "count": 4,
    "further": 1,
    "promised": 3,
    "kept": 2,
    "hit_rate": 2 / 3,
    "started": 3,
    "expected_median_s": 1.0,
    "started_median_s": 0.31,
    "ready": 3,
    "waiting": 1,
    "ready_median_s": 2.04,
    "ready_p95_s": 61.0,
}
LINE: Json = {
    "id": "d1", "session": "s-1", "number": 1, "decided_at": "2026-11-20T09:00:00.000Z", "person": "ada",
    "cause": "first", "kind": "lab", "centre": "alpha", "partition": "cpu", "chance": "now", "expected_start_s": 1.0,
    "p50_s": None, "p90_s": 3.2, "refused": None, "waited_s": 0.31, "ready_s": 2.04, "as_promised": True,
    "state": "running", "ended_at": None, "started_at": "2026-11-20T09:00:00.310Z",
    "ready_at": "2026-11-20T09:00:02.040Z",
}  # fmt: skip
REFUSED = LINE | {
    "id": "d2", "session": "", "number": 0, "kind": None, "centre": "", "chance": None, "expected_start_s": None,
    "p90_s": None, "waited_s": None, "ready_s": None, "as_promised": None, "state": None, "started_at": None,
    "ready_at": None, "refused": {"code": "over-quota", "why": "Too much.", "times": 3},
}  # fmt: skip
REPORT: Json = {
    "as_of": "2026-11-20T09:00:00.000Z", "since": "2026-11-19T09:00:00.000Z", "all": FIGURES,
    "by_centre": [FIGURES | {"centre": "alpha", "centre_name": "Alpha"}],
    "by_chance": [FIGURES | {"chance": "now", "ready_median_s": None, "hit_rate": None, "promised": 0}],
    "refused": [{"code": "over-quota", "count": 3, "example": "Too much."}],
    "refused_by": [{"centre": "beta", "centre_name": "Beta", "count": 1, "reason": "the centre is down"}],
    "decisions": [LINE, REFUSED],
}  # fmt: skip
EXPLAINED = {"GET_decisions/s-1": {"id": "s-1", "words": WORDS}}
REPLAYED = {
    "GET_decisions/s-1/replay": {"id": "d1", "same": True, "words": ["Policy cheapest decides the same: Alpha."]}
}


def test_an_explanation_is_its_sentences_and_its_document() -> None:
    assert run("place", "--explain", "s-1", broker=Broker(**EXPLAINED)).stdout.splitlines() == WORDS
    assert json.loads(run("place", "--explain", "s-1", "--json", broker=Broker(**EXPLAINED)).stdout)["words"] == WORDS


def test_a_replay_asks_for_the_policy_by_name() -> None:
    broker = Broker(**REPLAYED)
    said = run("place", "--replay", "s-1", "--policy", "cheapest", broker=broker)
    assert (said.exit_code, said.stdout) == (0, "Policy cheapest decides the same: Alpha.\n")
    assert broker.asked == [("GET decisions/s-1/replay", {"policy": "cheapest"})]


@pytest.mark.parametrize(
    "words", ["--explain s-1 --cores 4", "--explain s-1 --replay s-1", "--policy cheapest", "--explain s-1 --policy x"]
)
def test_what_does_not_go_together_is_wrong_usage(words: str) -> None:
    result = run("place", *words.split())
    assert result.exit_code == 2 and "Error" in result.stderr


def test_an_unknown_id_is_a_sentence() -> None:
    problem = (
        404,
        NotFound("There is no session and no decision 's-9'.", hint="Look.", code="unknown-decision").problem(),
    )
    result = run("place", "--explain", "s-9", broker=Broker(**{"GET_decisions/s-9": problem}))
    assert (result.exit_code, result.stderr) == (1, "There is no session and no decision 's-9'.\nLook.\n")


def test_operators_see_what_held_and_why_starts_were_refused() -> None:
    broker = Broker(GET_decisions=REPORT)
    said = run("decisions", "--days", "7", broker=broker).stdout
    assert broker.asked == [("GET decisions", {"days": "7.0"})]
    for words in (
        "2 of 3",
        "67%",
        "0.3 s",
        "2.0 s",
        "61 s",
        "refused (over-quota) 3 times, the last time: Too much.",
        "no place at beta, once",
    ):
        assert words in said
    assert "refused: over-quota" in said and "alpha/cpu" in said
    assert json.loads(run("decisions", "--json", broker=broker).stdout) == REPORT


def test_no_decisions_are_a_sentence() -> None:
    assert (
        run("decisions", broker=Broker(GET_decisions=REPORT | {"decisions": []})).stdout
        == "No decision was made in that time.\n"
    )
