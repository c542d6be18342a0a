"""Tests that the REST reference is made from the OpenAPI document, and that the models accept what the domain
accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from scnet_hub.broker import refusals
from scnet_hub.broker.bodies import validated
from scnet_hub.broker.models.options import Options, Requested, Start
from scnet_hub.broker.models.projects import Wish
from scnet_hub.broker.models.sessions import CallHome
from scnet_hub.broker.models.usage_records import Decide
from scnet_hub.broker.reference import page
from scnet_hub.domain.jobs import JobRequest
from scnet_hub.domain.sessions import names, requests
from scnet_hub.errors import BadOption

REFERENCE = Path(__file__).resolve().parents[3] / "docs" / "reference"
ANEW = "make it anew: .venv/bin/python -m scnet_hub.broker.reference > docs/reference/rest.md"


def test_the_reference_of_the_calls_is_current() -> None:
    assert (REFERENCE / "rest.md").read_text() == page(), ANEW


def test_every_code_stands_in_the_reference_of_errors() -> None:
    said = (REFERENCE / "errors.md").read_text()
    assert [code for code in refusals.ALL if f"`{code}`" not in said] == []


def test_the_options_of_the_document_are_those_of_the_domain() -> None:
    assert set(Options.model_fields) == requests.KNOWN
    assert set(Start.model_fields) == requests.KNOWN | {"argv", "env", "files"}
    document = names.request_document(JobRequest(person="ada", project="p", centres=("alpha",)))
    assert Requested.model_validate(document).model_dump().keys() == document.keys()


@pytest.mark.parametrize(
    ("model", "body", "sentence"),
    [
        (Decide, {"decision": "drop", "words": "x", "why": 1}, "Unknown field 'why'."),
        (Decide, {"decision": "keep", "words": "x"}, "decision: must be 'drop' or 'believe', not 'keep'."),
        (Decide, {"decision": "drop"}, "words: is missing."),
        (Decide, {"decision": "drop", "words": "\x1b[1m"}, "words: must be text without control characters."),
        (Wish, {"project": "p", "amount": "5"}, "amount: '5' is not a valid amount of credits."),
        (Wish, {"project": "p", "amount": 5, "ends_at": "soon"}, "ends_at: 'soon' is not a time."),
        (Wish, {"project": "p", "amount": 5, "centres": "alpha"}, "centres: must be a valid list, not 'alpha'."),
        (Wish, {"project": "x" * 65, "amount": 5}, "project: must have at most 64 characters, not 65."),
        (CallHome, {"nonce": "n", "phase": "started", "host": "", "port": 80, "node": ""}, "port: must be from 1024 "
        "to 65535, not 80."),
        (CallHome, {"nonce": "n", "phase": "started", "host": "", "port": True, "node": ""}, "port: must be a valid "
        "integer, not True."),
    ],
)  # fmt: skip
def test_a_refusal_names_the_field_what_was_given_and_what_is_allowed(
    model: type, body: dict[str, object], sentence: str
) -> None:
    with pytest.raises(BadOption) as refused:
        validated(model, body)
    assert str(refused.value) == sentence


def test_an_unknown_field_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(BadOption) as refused:
        validated(Decide, {"surprise": 1})
    assert refused.value.hint == "Known: decision, words."
