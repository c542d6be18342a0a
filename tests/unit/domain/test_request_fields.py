"""Tests that one table of a request's fields makes every interface: a field that is added to the table appears in
each."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from scnet_hub.broker.models.options import Start
from scnet_hub.cli.options import OPTIONS, needs
from scnet_hub.display.request_fields import FIELDS, ON_FORM, SIZES, Kind
from scnet_hub.domain.jobs import JobRequest
from scnet_hub.domain.sessions import requests
from scnet_hub.hub import user_options

ROOT = Path(__file__).resolve().parents[3]
# of a request, but set by the broker: who may run where, at what price, and where the files lie
CHOSEN = {
    "centres",
    "max_price",
    "near",
}
PAYLOAD = {"argv", "env", "files"}

ANOTHER = (
    'Field(name="queue_class", kind=Kind.WORD, choices=("short", "long"), on_form=True, option=True, '
    'words="Which class of queue."),'
)
FACES = """
import json, click
from scnet_hub.broker.models.options import Options
from scnet_hub.cli.options import needs
from scnet_hub.domain.sessions import requests
from scnet_hub.hub import user_options
from scnet_hub.hub.views import start_form
from scnet_hub.errors import BadOption

wanted = {"queue_class": "short", "cores": 2}
request = requests.job_request("ada", wanted)
try:
    requests.job_request("ada", {"queue_class": "quick"})
    refusal = ""
except BadOption as error:
    refusal = str(error)
print(json.dumps({
    "schema": Options.model_json_schema()["properties"]["queue_class"]["description"],
    "request": request.queue_class,
    "refusal": refusal,
    "stored": user_options.document(request)["queue_class"],
    "rest": user_options.checked(wanted, "ada", "")["queue_class"],
    "link": user_options.linked({"queue_class": ["long"]})["queue_class"],
    "form": start_form.DEFAULTS["queue_class"],
    "wrong": start_form.wrong_field({"title": "queue_class: no"}),
    "command": [option.opts[0] for option in click.command()(needs(lambda **_: None)).params][-1],
}))
"""


def test_each_field_is_one_of_a_request() -> None:
    names = {field.name for field in FIELDS}
    assert len(names) == len(FIELDS)
    assert names == {field.name for field in fields(JobRequest)} - CHOSEN - {"person"}


def test_every_face_is_made_from_the_table() -> None:
    assert set(Start.model_fields) == {field.name for field in FIELDS} | PAYLOAD
    assert set(requests.CHECKS) == set(Kind)
    assert len(OPTIONS) == sum(field.option for field in FIELDS)
    assert set(SIZES) < set(ON_FORM) == set(user_options.document(requests.job_request("ada", full())))


def full() -> dict[str, str]:
    """A value for each field, as a person types it."""
    typed = {
        Kind.COUNT: "2",
        Kind.MEMORY: "4G",
        Kind.WALLTIME: "2h",
        Kind.WORD: "alpha",
        Kind.TEXT: "x",
        Kind.MODEL: "a100",
    }
    return {field.name: field.choices[0] if field.choices else typed[field.kind] for field in FIELDS}


def test_a_stored_request_is_read_again_as_it_was() -> None:
    request = requests.job_request("ada", full())
    again = requests.job_request("ada", {**full(), **json.loads(json.dumps(user_options.document(request)))})
    assert again == request


def test_a_command_refuses_the_counts_that_the_broker_refuses() -> None:
    import click
    from click.testing import CliRunner

    command = click.command()(needs(lambda **_: None))
    for field in FIELDS:
        if field.kind is Kind.COUNT and field.option:
            for count, refused in ((field.least, 0), (field.most, 0), (field.least - 1, 2), (field.most + 1, 2)):
                assert CliRunner().invoke(command, [f"--{field.name}", str(count)]).exit_code == refused


def test_a_field_of_the_table_and_the_request_reaches_every_face(tmp_path: Path) -> None:
    """In a copy of the package: two lines, one in the table and one in JobRequest; nothing else changes."""
    shutil.copytree(
        ROOT / "scnet_hub",
        tmp_path / "scnet_hub",
        ignore=shutil.ignore_patterns("__pycache__", "demo", "node", "simulator"),
    )
    replace(tmp_path / "scnet_hub/display/request_fields.py", ")  # fmt: skip", f"    {ANOTHER}\n)  # fmt: skip")
    replace(
        tmp_path / "scnet_hub/domain/jobs.py",
        '    dataset: str = ""\n',
        '    dataset: str = ""\n    queue_class: str = ""\n',
    )
    (tmp_path / "extensions").symlink_to(ROOT / "extensions")
    done = subprocess.run(
        [sys.executable, "-c", FACES], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "schema": "Which class of queue.",
        "request": "short", "refusal": "queue_class: 'quick' is not one of short, "
        "long.", "stored": "short", "rest": "short",
        "link": "long", "form": "", "wrong": "queue_class", "command": "--queue-class",
    }  # fmt: skip


def replace(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, after))
