"""Tests the commands for suspense, and for days whose accounting is pulled again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .federation import Broker, run

Json = dict[str, Any]
RECORD = {
    "id": 7, "centre": "alpha", "job": "90", "name": "scnet-x", "session": "", "copy": 0, "revision": 0, "final": True,
    "state": "suspense", "reason": "Job 90 of alpha is called 'scnet-x': no session of that name is "
    "known.", "decision": "", "decided_by": "",
}  # fmt: skip
DAY = {"centre": "alpha", "day": "2026-11-01", "finals": 1200, "open_jobs": ["alpha/1/5/1/0"], "missing": []}


def test_suspense_shows_each_record_with_its_reason() -> None:
    broker = Broker(**{"GET usage-records/suspense": {"records": [RECORD], "more": 2}})
    said = run("suspense", broker=broker).stdout
    assert "no session of that name is known" in said and "3 usage records in suspense." in said
    none = Broker(**{"GET usage-records/suspense": {"records": [], "more": 0}})
    assert "No usage record" in run("suspense", "list", "--centre", "alpha", broker=none).stdout


def test_a_decision_needs_its_words() -> None:
    broker = Broker(**{"POST usage-records/suspense/7": RECORD | {"state": "dropped"}})
    assert run("suspense", "decide", "7", "drop", broker=broker).exit_code == 2
    assert (
        "Record 7 of alpha is dropped."
        in run("suspense", "decide", "7", "drop", "--words", "somebody tried", broker=broker).stdout
    )
    assert broker.asked[-1] == ("POST usage-records/suspense/7", {"decision": "drop", "words": "somebody tried"})


def test_a_day_that_lacks_something_is_said_and_fails() -> None:
    place = "POST centres/alpha/usage-records/pull"
    whole = run("usage", "pull", "alpha", "--day", "2026-11-01", broker=Broker(**{place: {"manifests": [DAY]}}))
    assert whole.exit_code == 0 and "2026-11-01: 1,200 runs ended, 1 went on: complete." in whole.stdout
    lacking = DAY | {"missing": ["2026-11-01: 3 rows of its accounting cannot be read"]}
    lossy = run("usage", "pull", "alpha", "--day", "2026-11-01", broker=Broker(**{place: {"manifests": [lacking]}}))
    assert lossy.exit_code == 1 and "not complete: 2026-11-01: 3 rows" in lossy.stdout


def test_a_file_of_events_is_taken_in_by_parts(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text("{}\n\n" * 450)
    broker = Broker(**{"POST usage-records/events": {"taken": 150, "sessions": ["s-1"]}})
    assert "450 records; news for 1 session." in run("usage", "take", str(file), broker=broker).stdout
    assert [len(asked["events"]) for _, asked in broker.asked] == [200, 200, 50]
