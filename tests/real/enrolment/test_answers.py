"""Tests the answers of scripts and jobs of a visit: complete answers are read, others are left out or Garbled, and
never cause another error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scnet_hub.enrolment import answers
from scnet_hub.enrolment.environment import Python
from scnet_hub.enrolment.visit import last_line, noise, said
from scnet_hub.errors import Garbled

WORD = "scnet-check-12345678"
REPORT = {
    "version": [3, 12, 1],
    "prefix": "/p",
    "missing": {"x": "no"},
    "scnet_hub": "1.0",
    "sources": "",
    "seconds": 1.5,
}
FACTS: dict[str, Any] = {
    "who": "ada",
    "node": "n1",
    "no_python": True,
    "listens": {"host": "n1", "port": 5000, "error": ""},
    "home": {"there": True, "writable": False},
    "hub": {"status": 200, "body": "x", "error": ""},
    "environment": {"error": "", **REPORT},
}
LOG = "Welcome\n" + "".join(f"{WORD} {key} {json.dumps(fact)}\n" for key, fact in FACTS.items()) + "bye\n"
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
JSON = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=9), SCALARS, max_size=3)
KEYS = st.sampled_from([*FACTS, "", "other"])


def test_the_errands_facts_are_read_among_others_words() -> None:
    assert answers.errand(said(LOG, WORD)) == FACTS
    assert noise(LOG, WORD) == "Welcome; bye" and last_line(LOG) == "bye"


@given(st.integers(0, len(LOG)))
def test_a_log_that_is_still_written_has_the_facts_that_are_whole(length: int) -> None:
    found = answers.errand(said(LOG[:length], WORD))
    assert all(FACTS[key] == fact for key, fact in found.items())
    assert len(found) >= sum(f"{WORD} {key} {json.dumps(fact)}\n" in LOG[:length] for key, fact in FACTS.items())


@given(KEYS, JSON | st.sampled_from([*FACTS.values()]), st.text(max_size=20))
def test_a_fact_of_another_kind_is_left_out(key: str, fact: Any, more: str) -> None:
    found = answers.errand({key: json.dumps(fact), "other": more})
    if key in ("listens", "home", "hub", "environment") and key in found:
        assert isinstance(found[key], dict) and (key == "home" or isinstance(found[key]["error"], str))


def test_facts_that_lack_something_are_left_out() -> None:
    for key in ("listens", "home", "hub", "environment"):
        for part in FACTS[key]:
            if part != "prefix":
                assert (
                    answers.errand({key: json.dumps({name: fact for name, fact in FACTS[key].items() if name != part})})
                    == {}
                )
    assert answers.errand({"hub": '{"error": "no route"}', "environment": '{"error": "no python"}'})["hub"] == {
        "error": "no route"
    }


@given(
    JSON.map(json.dumps)
    | st.text()
    | st.integers(0, 80).map(lambda length: json.dumps(REPORT)[:length])
    | st.just("[" * 100_000)
)
def test_a_report_that_is_none_is_garbled(line: str) -> None:
    for read in (answers.report, answers.trial):
        with pytest.raises(Garbled):
            read(line)


def test_a_report_and_a_trial_are_read() -> None:
    assert answers.report(json.dumps(REPORT)) == REPORT
    for found in ({"error": "", "node": "n", "listened": 1, "kernel": 2.5}, {"error": "no page", "node": "n"}):
        assert answers.trial(json.dumps(found)) == found
    with pytest.raises(Garbled):
        answers.trial('{"error": "", "node": "n"}')


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("3 12 x86_64 2.36 /usr/bin/python3.12", ((3, 12), (2, 36), "/usr/bin/python3.12")),
        ("3 11 aarch64 0 /opt/my python/bin/python3", ((3, 11), (0, 0), "/opt/my python/bin/python3")),
        ("3 11 x86_64 musl /usr/bin/python3", ((3, 11), (0, 0), "/usr/bin/python3")),
        ("", None),
        ("Python is not installed here", None),
        ("3 x x86_64 2.36 /usr/bin/python3", None),
        (f"3 {'9' * 5000} x86_64 2.36 /usr/bin/python3", None),
    ],
)
def test_an_interpreter_is_read_or_there_is_none(words: str, found: tuple[object, ...] | None) -> None:
    python = Python.read(words)
    assert (python and (python.version, python.libc, python.path)) == found


@given(st.text())
def test_any_words_are_a_python_or_none_and_a_number_or_none(text: str) -> None:
    assert Python.read(text) is None or text.strip()
    assert answers.whole_number(text) is None or int(text.strip()) == answers.whole_number(text)
    assert all(isinstance(value, str) for value in said(text, WORD).values()) and isinstance(
        noise(text, WORD) + last_line(text), str
    )
