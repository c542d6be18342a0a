"""Usage as CloudEvents with OGF names: nothing is lost on the way out and in, and nothing is let in that contradicts
itself."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scnet_hub.domain.jobs import Ending
from scnet_hub.domain.standard import usage as standard
from scnet_hub.domain.usage.cloud_events import events, parse, text
from scnet_hub.domain.usage.runs import Usage
from scnet_hub.domain.usage.segments import segments
from scnet_hub.errors import SpecError

from .runs import AT, HOUR, ZONES, instants, interim, run, runs

ROOT = Path(__file__).parents[3]


def lines(usage: Usage) -> list[str]:
    return [text(one) for one in events(usage)]


def changed(line: str, **changes: Any) -> str:
    """That event with other fields in its data, or in the envelope where they are lower-case; None takes one out."""
    document = json.loads(line)
    for name, value in changes.items():
        place = document["data"] if name[0].isupper() else document
        place[name] = value
        if value is None:
            del place[name]
    return json.dumps(document)


def test_an_event_has_the_names_of_the_usage_record_and_the_envelope_of_cloud_events() -> None:
    (one,) = (
        json.loads(line)
        for line in lines(run(gpus=(("a100", 2),), memory=2**29, ending=Ending.CANCELLED, ended_by="1000"))
    )
    assert {name: one[name] for name in ("specversion", "type", "source", "id", "time")} == {
        "specversion": "1.0", "type": "org.scnet.usage.v1", "source": "urn:scnet:cluster:alpha:1",
        "id": "77/1795420740/0/1/0", "time": "2026-11-23T09:01:00Z",
    }  # fmt: skip
    data = one["data"]
    assert (data["WallDuration"], data["Status"], data["EndedBy"], data["Processors"]) == (
        "PT1H",
        "cancelled",
        "1000",
        4,
    )
    assert data["Meters"] == [
        {"Meter": "core-second", "Quantity": "14400"}, {"Meter": "gib-second", "Quantity": "1800"},
        {"Meter": "gpu-second:a100", "Quantity": "7200"},
    ]  # fmt: skip


@given(runs(), st.sampled_from(ZONES), st.lists(instants, max_size=3))
@settings(deadline=None, max_examples=100)
def test_what_goes_out_comes_in_again(usage: Usage, zone: str, cuts: list[Any]) -> None:
    sent = [text(one) for one in events(usage, zone=zone, cuts=cuts)]
    found = [parse(line, source="test") for line in sent]
    assert [one for one, _ in found] == [usage] * len(sent) and all(one.seen_at == usage.seen_at for one, _ in found)
    assert tuple(segment for _, segment in found) == segments(usage, zone, cuts)
    assert len({json.loads(line)["id"] for line in sent}) == len(sent)


def test_what_never_ran_and_what_still_runs_go_out_and_come_in_too() -> None:
    waited = run(start=None, end=AT, cores=0, elapsed=HOUR * 0, ending=Ending.CANCELLED)
    for usage in (waited, interim(), interim(submitted_at=None), run(submitted_at=None)):
        (line,) = lines(usage)
        found, segment = parse(line, source="test")
        assert found == usage and (segment is None) == (usage is waited)
        assert "null" not in line


def test_every_event_holds_to_the_schema() -> None:
    checker = jsonschema.Draft202012Validator(standard.schema(), format_checker=jsonschema.FormatChecker())
    for usage in (run(), interim(), run(start=None, elapsed=HOUR * 0), run(gpus=(("", 1),), memory=1)):
        for line in lines(usage):
            checker.validate(json.loads(line))


@pytest.mark.parametrize("path", ["docs/reference/usage.schema.json", "scnet_hub/domain/standard/usage.schema.json"])
def test_the_schema_is_current(path: str) -> None:
    assert (ROOT / path).read_text() == standard.schema_text(), "write schema_text() there"


def test_the_schema_and_the_document_name_every_ending() -> None:
    assert set(standard.STATUS) == {"running", *(ending.value for ending in Ending)}


@pytest.mark.parametrize(
    "changes",
    [
        {"Processors": -4}, {"Processors": 4.5}, {"Processors": "4"}, {"Processors": float("nan")}, {"Memory": -1},
        {"Gpus": {"a100": -1}}, {"Gpus": {"a 1": 1}}, {"WallDuration": "-PT1H"}, {"WallDuration": "long"},
        {"StartTime": "2026-11-23T08:00:00"}, {"Status": "gone"}, {"Site": "../x"}, {"Restart": -1}, {"Revision": 0.5},
        {"Final": "yes"}, {"Surprise": 1}, {"LocalJobId": ""}, {"specversion": "0.3"}, {"type": "org.scnet.bill.v1"},
        {"Meters": [{"Meter": "core-second", "Quantity": "NaN"}]},
        {"Meters": [{"Meter": "core-second", "Quantity": "-1"}]}, {"Segment": {"Number": 0}},
    ],
)  # fmt: skip
def test_a_field_that_is_not_what_it_must_be_is_named(changes: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=re.escape("line 7: ")) as caught:
        parse(changed(lines(run())[0], **changes), source="line 7")
    assert next(iter(changes)) in str(caught.value) and caught.value.hint


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"id": "78/1795420740/0/1/0"}, "id"),
        ({"source": "urn:scnet:cluster:beta:1"}, "source"),
        ({"RecordId": "x"}, "RecordId"),
        ({"GlobalJobId": "x"}, "GlobalJobId"),
        ({"LocalJobId": "78"}, "id"),
        ({"Final": False}, "Final"),
        ({"Processors": 400}, "Meters"),
        ({"Meters": []}, "Meters"),
        ({"Meters": [{"Meter": "core-second", "Quantity": "14400"}] * 2}, "Meters"),
        ({"Segment": None}, "id is"),
        ({"Segment": None, "RecordId": "alpha/1/77/1795420740/0/0/0", "id": "77/1795420740/0/0/0"}, "no segment"),
        ({"StartTime": None}, "no start"),
        ({"WallDuration": "PT30M"}, "not within its run"),
    ],
)
def test_an_event_that_contradicts_itself_is_refused(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(SpecError, match=word):
        parse(changed(lines(run())[0], **changes), source="line 7")


@pytest.mark.parametrize("line", ["", "{", "[]", "null", "{}", "[" * 100_000, b"\xff"])
def test_what_is_no_event_is_refused_with_a_sentence(line: str | bytes) -> None:
    with pytest.raises(SpecError, match=r"^line 7: "):
        parse(line, source="line 7")
