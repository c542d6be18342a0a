"""Tests the centres' pages in a state folder: added, listed, removed, and named on the federation's page."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from scnet_hub.broker.page_watch import read_federation
from scnet_hub.cli import cli
from scnet_hub.cli.app import App
from tests.unit.cli.federation import session

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGCidwULbuVi7uRN77NL4lsVJ+IaSSWQJkOKyINdGEAq"
PAGE = f"""\
# as its admin wrote it
id = "delta"
name = "Delta Institute"
dialect = "slurm"
[transport]
kind = "ssh"
hosts = ["login.delta.example"]
host_keys = ["{KEY}"]
[identity]
mode = "certificate"
accounts = {{ ada = "lovela" }}
[session]
python = "/opt/scnet/session/bin/python"
directory = "/home/{{account}}/.scnet"
[[partition]]
name = "cpu"
cores = 8
"""
FEDERATION = """\
# our federation
name = "North"
centres = [
    "centres/alpha.toml",  # the first
]

[[project]]
id = "sea"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    (folder / "centres").mkdir(parents=True)
    (folder / "centres" / "alpha.toml").write_text(PAGE.replace('"delta"', '"alpha"'))
    (folder / "federation.toml").write_text(FEDERATION)
    return folder


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "from-the-centre.toml"
    path.write_text(PAGE)
    return path


def run(home: Path, *words: str | Path) -> Result:
    return CliRunner().invoke(cli, ["centres", *map(str, words), "--home", str(home)], obj=App())


def listed(home: Path) -> list[str]:
    return list(tomllib.loads((home / "federation.toml").read_text())["centres"])


def test_a_page_is_copied_as_it_is_and_named_on_the_federations_page(home: Path, page: Path) -> None:
    result = run(home, "add", page)
    assert result.exit_code == 0, result.output
    assert (home / "centres/delta.toml").read_text() == PAGE
    text = (home / "federation.toml").read_text()
    assert listed(home) == ["centres/alpha.toml", "centres/delta.toml"]
    assert "# our federation" in text and "# the first" in text
    assert list(read_federation(home / "federation.toml")[1]) == ["centres/alpha.toml", "centres/delta.toml"]


def test_a_pattern_that_names_it_already_is_left_alone(home: Path, page: Path) -> None:
    (home / "federation.toml").write_text('centres = ["centres/*.toml"]\n')
    run(home, "add", page)
    assert (home / "federation.toml").read_text() == 'centres = ["centres/*.toml"]\n'


def test_what_to_do_next_is_said_with_the_line_for_the_centre(home: Path, page: Path) -> None:
    document = json.loads(run(home, "add", page, "--json").stdout)
    assert document["centre"] == "delta"
    ca = (home / "secrets/ssh_ca.pub").read_text().strip()
    assert any(ca in step for step in document["next"])
    assert document["next"][-2:] == ["scnet centres check delta", "scnet centres deploy delta"]
    assert "next start" in run(home, "add", page).stdout


def test_an_announcement_counts_within_a_minute_and_the_rest_at_the_next_start(home: Path, page: Path) -> None:
    (home / "federation.toml").write_text('centres = ["centres/*.toml"]\n')
    run(home, "add", page)
    announced = (
        "\n[[announcement]]\nmessage = 'Scratch is slow.'\nstart = 2027-01-15T08:00:00Z\nend = 2027-01-15T18:00:00Z\n"
    )
    for text, words, starts in (
        (PAGE + announced, "they take effect within 60 s, without a restart", False),
        (PAGE + announced, "The same page was there already", True),
        (
            PAGE.replace("cores = 8", "cores = 9"),
            "It takes effect at the broker's next start. Changes of maintenance",
            True,
        ),
        (PAGE.replace("cores = 8", "cores = 10"), "It takes effect at the broker's next start. Before that:", True),
    ):
        page.write_text(text)
        said = run(home, "add", page, "--replace").stdout
        assert words in said and ("next start" in said) is starts and ("Before that:" in said) is ("next start" in said)


def test_a_key_of_the_federation_that_is_missing_is_a_step_too(home: Path, page: Path) -> None:
    page.write_text(
        PAGE.replace("host_keys", 'key_file = "secrets/ssh_delta"\nhost_keys').replace('"certificate"', '"service"')
    )
    steps = json.loads(run(home, "add", page, "--json").stdout)["next"]
    assert "ssh-keygen" in steps[0] and str(home / "secrets/ssh_delta") in steps[0]
    assert not any("TrustedUserCAKeys" in step for step in steps)


def test_a_wrong_page_is_refused_with_file_and_key_and_changes_nothing(home: Path, page: Path) -> None:
    page.write_text(PAGE.replace("cores = 8", "cores = 0"))
    result = run(home, "add", page, "--json")
    assert result.exit_code == 1
    assert str(page) in json.loads(result.stdout)["title"] and "partition.0.cores" in json.loads(result.stdout)["title"]
    assert not (home / "centres/delta.toml").exists() and listed(home) == ["centres/alpha.toml"]


def test_another_page_of_that_id_is_replaced_only_when_told(home: Path, page: Path) -> None:
    run(home, "add", page)
    page.write_text(PAGE + "gpus = 2\n")
    refused = run(home, "add", page)
    assert refused.exit_code == 1 and "--replace" in refused.stderr
    assert run(home, "add", page, "--replace").exit_code == 0
    assert (home / "centres/delta.toml").read_text() == PAGE + "gpus = 2\n" and len(listed(home)) == 2


def test_without_a_federations_page_it_says_what_to_write(home: Path, page: Path) -> None:
    (home / "federation.toml").unlink()
    assert 'centres = ["centres/*.toml"]' in run(home, "add", page).stdout


def test_the_list_shows_every_page_and_what_is_wrong_with_it(home: Path) -> None:
    (home / "centres" / "broken.toml").write_text("id = 7\n")
    result = run(home, "pages", "--json")
    alpha, broken = json.loads(result.stdout)["centres"]
    assert (alpha["id"], alpha["listed"], alpha["reached"], alpha["wrong"]) == (
        "alpha",
        True,
        "login.delta.example",
        "",
    )
    assert broken["listed"] is False and "broken.toml" in broken["wrong"]
    assert result.exit_code == 1 and "login.delta.example" in run(home, "pages").stdout


def test_a_page_that_is_taken_out_is_kept_under_another_name(home: Path, page: Path) -> None:
    run(home, "add", page)
    assert run(home, "remove", "delta").exit_code == 0
    assert listed(home) == ["centres/alpha.toml"] and not (home / "centres/delta.toml").exists()
    assert (home / "centres/delta.toml.removed").read_text() == PAGE
    assert "# the first" in (home / "federation.toml").read_text()


def test_the_last_centre_stays(home: Path) -> None:
    result = run(home, "remove", "alpha")
    assert result.exit_code == 1 and "last centre" in result.stderr and listed(home) == ["centres/alpha.toml"]


def test_an_unknown_centre_is_named_with_those_there_are(home: Path) -> None:
    for words in (("remove", "nowhere"), ("check", "nowhere"), ("deploy", "nowhere")):
        result = run(home, *words)
        assert result.exit_code == 1 and "nowhere" in result.stderr and "alpha" in result.stderr


def test_a_check_from_another_folder_makes_no_ca_that_nobody_trusts(tmp_path: Path, page: Path) -> None:
    result = run(tmp_path / "elsewhere", "check", page, "--json")
    assert result.exit_code == 1 and "has no SSH CA" in json.loads(result.stdout)["checks"][0]["found"]
    assert not (tmp_path / "elsewhere").exists()


# ---- who lives there is the broker's to say


def test_a_centre_is_not_removed_while_nobody_can_say_who_lives_there(home: Path, page: Path) -> None:
    run(home, "add", page)
    (home / "broker.json").write_text("{}")
    refused = run(home, "remove", "delta")
    assert refused.exit_code == 1 and "can't be asked" in refused.stderr and "--force" in refused.stderr
    assert run(home, "remove", "delta", "--force").exit_code == 0


@pytest.mark.parametrize("at", ["delta", "alpha"])
def test_a_centre_is_not_removed_while_sessions_live_there(home: Path, page: Path, at: str) -> None:
    run(home, "add", page)
    with serving({"as_of": None, "sessions": [session(id="s-7", centre=at)]}) as url:
        (home / "broker.json").write_text("{}")
        (home / "client.json").write_text(json.dumps({"url": url, "token": "t"}))
        result = run(home, "remove", "delta")
    assert result.exit_code == (1 if at == "delta" else 0)
    assert ("s-7" in result.stderr) == (at == "delta")


def serving(document: Any) -> Any:
    """A broker that answers every question with this document."""
    import contextlib
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args: object) -> None:
            pass

    @contextlib.contextmanager
    def up() -> Any:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()

    return up()


def test_gpus_without_a_price_are_taken_in_and_remarked_on(home: Path, page: Path) -> None:
    page.write_text(PAGE + "gpus = 2\n")
    assert json.loads(run(home, "add", page, "--json").stdout)["remarks"] == [
        "Partition cpu has GPUs and no gpu_hour in its tariff: without a price, no session with a GPU can start there."
    ]
    page.write_text(PAGE + "gpus = 2\ntariff = { gpu_hour = 0 }\n")
    assert json.loads(run(home, "add", page, "--replace", "--json").stdout)["remarks"] == []
