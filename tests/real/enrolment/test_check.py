"""Tests `scnet centres check` where it runs everywhere: an embedded centre, checked from its page to its accounting."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from scnet_hub.cli import cli
from scnet_hub.cli.app import App
from scnet_hub.demo.embedded import EmbeddedCentre, Settings, centre_toml
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.enrolment.check import page_finding
from scnet_hub.enrolment.findings import State

Json = dict[str, Any]
PRICELESS = """
id = "alpha"
name = "Alpha"
transport = { kind = "local" }
session = { python = "/usr/bin/python3", directory = "/s" }
partition = [{ name = "dcu", cores = 8, gpus = 2 }]
"""


@pytest.fixture
def home(short_path: Path) -> Iterator[Path]:
    """A state folder with a centre that is up, and nobody at the hub's public address."""
    centre = EmbeddedCentre(short_path / "c", Settings(name="alpha", nodes=1, cores=2, memory=4 * 2**30, kill_wait=0.5))
    page = short_path / "centres" / "alpha.toml"
    page.parent.mkdir()
    page.write_text(
        centre_toml(
            centre, title="Alpha", python=sys.executable, directory=short_path / "sessions", home=short_path / "homes"
        )
    )
    with socket.create_server(("127.0.0.1", 0)) as probe:
        public = probe.getsockname()[1]
    (short_path / "broker.json").write_text(json.dumps({"public_url": f"http://127.0.0.1:{public}"}))
    centre.start()
    yield short_path
    centre.stop()


def check(home: Path, *words: str) -> tuple[int, Json]:
    result = CliRunner().invoke(
        cli, ["centres", "check", *words, "--home", str(home), "--patience", "20s", "--json"], obj=App()
    )
    assert result.stderr == "", result.stderr
    return result.exit_code, json.loads(result.stdout)


def states(document: Json) -> dict[str, str]:
    return {finding["name"]: finding["state"] for finding in document["checks"]}


def test_every_hop_of_a_centre_in_order_is_green_and_nothing_is_left(home: Path) -> None:
    code, document = check(home, "alpha")
    assert (code, document["ok"], document["centre"]) == (0, True, "alpha"), document
    assert set(states(document).values()) == {"ok"}, document
    assert {"page", "scheduler", "job", "way to a session", "call home", "accounting"} <= set(states(document))
    assert not list(home.glob("sessions/*")) and not list(home.glob("homes/*"))


def test_people_read_a_line_for_each_hop_and_what_to_try(home: Path) -> None:
    page = home / "centres" / "alpha.toml"
    page.write_text(page.read_text().replace("cores = 2", "cores = 64"))
    result = CliRunner().invoke(cli, ["centres", "check", "alpha", "--home", str(home)], obj=App())
    lines = result.stdout.splitlines()
    wrong = next(number for number, line in enumerate(lines) if line.startswith("fail"))
    assert result.exit_code == 1
    assert "has no node of 64 cores" in lines[wrong] and lines[wrong + 1].lstrip().startswith("→ Correct the page")
    assert lines[-1] == "alpha is not in order: 1 to fix."


def test_a_wrong_page_is_the_only_thing_said(home: Path) -> None:
    page = home / "centres" / "alpha.toml"
    page.write_text(page.read_text().replace('dialect = "slurm"', 'dialect = "cobol"'))
    code, document = check(home, str(page))
    assert code == 1 and "dialect" in document["checks"][0]["found"]
    assert set(states(document).values()) == {"fail", "skipped"}
    result = CliRunner().invoke(cli, ["centres", "check", "alpha", "--home", str(home)], obj=App())
    assert len(result.stdout.strip().splitlines()) <= 4, "people are spared what was not looked at"


def test_something_else_at_the_hubs_address_is_not_taken_for_the_hub(home: Path) -> None:
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Stranger)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (home / "broker.json").write_text(json.dumps({"public_url": f"http://127.0.0.1:{server.server_port}"}))
    code, document = check(home, "alpha")
    server.shutdown()
    server.server_close()
    found = next(finding for finding in document["checks"] if finding["name"] == "call home")
    assert code == 1 and "another program answers" in found["found"]


def test_a_job_that_waits_too_long_says_its_place_and_how_to_wait(home: Path) -> None:
    centre = EmbeddedCentre(home / "c")
    centre.ask("sbatch", "--wrap", "sleep 600", "-c", "2")
    result = CliRunner().invoke(
        cli, ["centres", "check", "alpha", "--home", str(home), "--patience", "2s", "--json"], obj=App()
    )
    found = {finding["name"]: finding for finding in json.loads(result.stdout)["checks"]}
    assert (
        found["job"]["state"] == "fail"
        and "has not started after 2 s" in found["job"]["found"]
        and "--patience" in found["job"]["hint"]
    )
    assert found["accounting"]["state"] == "skipped"
    assert centre.ask("squeue", "-h", "--format=%j").split() == ["wrap"], "the check's job is gone"


def test_gpus_without_a_price_are_a_warning_at_the_page() -> None:
    found = page_finding(Path("alpha.toml"), parse_centre(PRICELESS, source="alpha"))
    assert (
        (found.state, found.name) == (State.WARN, "page") and "no gpu_hour" in found.found and "0 is free" in found.hint
    )
