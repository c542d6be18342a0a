"""A wheel of this tree, installed outside of it: the demo finds everything it needs, installs its proxy by itself, and
does the main job.

The packages that the wheel needs are those of the environment that runs the tests, found by a path file; ours is not
among them, because an editable installation is a path file too, and those are read in an environment's own folder only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
UV = Path(sys.executable).with_name("uv")
FOUND = """
import json, sys
from pathlib import Path
import scnet_hub
from scnet_hub.demo.run import CONFIG
from scnet_hub.hub.views.start_form import STATIC, TEMPLATES
from scnet_hub.setup.proxy import SOURCES, Proxy
package = Path(scnet_hub.__file__).parent
of_the_package = (
    "node/pages/labextensions/scnet-hub/package.json", "node/notebooks/01-first-session.ipynb",
    "adapters/db/migrations/env.py", "client/panels/overview.js", "enrolment/scripts/say.sh",
)
needed = [CONFIG, STATIC / "scnet.css", TEMPLATES / "home.html", SOURCES / "package-lock.json"]
needed += [package / name for name in of_the_package]
print(json.dumps({"needed": {str(path): path.exists() for path in needed}, "path": sys.path,
    "proxy": str(Proxy(Path(sys.prefix)).folder)}))
"""


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside the checkout with the wheel installed in the environment `env`."""
    folder = tmp_path_factory.mktemp("away")
    env = folder / "env"
    run(UV, "build", "-q", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder, ROOT)
    run(UV, "venv", "-q", "--no-project", "--python", sys.executable, env)
    wheel = next(folder.glob("scnet_hub-*.whl"))
    run(UV, "pip", "install", "-q", "--python", env / "bin/python", "--no-deps", "--offline", wheel)
    ours = Path(sysconfig.get_path("purelib"))
    site = next(env.glob("lib/python3.*/site-packages"))
    (site / "packages_of_the_tests.pth").write_text(f"{ours}\n")
    for name in ("share/jupyter", "etc/jupyter"):  # Jupyter's own files are found in the environment's folder
        (env / name).parent.mkdir(exist_ok=True)
        (env / name).symlink_to(Path(sys.prefix) / name)
    return folder


def run(*words: str | Path, cwd: Path | None = None, code: int = 0) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("JUPYTER", "SCNET_", "PYTHON"))}
    kept.pop("VIRTUAL_ENV", None)
    done = subprocess.run(words, cwd=cwd, env=kept, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == code, (done.stdout[-2000:], done.stderr[-2000:])
    return done


def test_the_wheel_carries_what_the_demo_needs(away: Path) -> None:
    found = json.loads(run(away / "env/bin/python", "-c", FOUND, cwd=away).stdout)
    assert all(found["needed"].values()), found["needed"]
    assert all(path.startswith(str(away)) for path in (*found["needed"], found["proxy"]))
    assert str(ROOT) not in found["path"]


def test_set_up_of_an_installed_package_is_the_proxy_alone(away: Path) -> None:
    todo = run(away / "env/bin/python", "-m", "scnet_hub.setup", "--check", cwd=away, code=1).stdout
    assert todo.splitlines() == ["to do: the proxy in share/scnet/proxy of the environment"]
    refused = run(away / "env/bin/python", "-m", "scnet_hub.setup", "--tools", cwd=away, code=2)
    assert "needs a checkout" in refused.stderr


def test_check_reports_the_main_job_from_a_wheel(away: Path) -> None:
    done = run(away / "env/bin/scnet", "demo", "--check", "--json", cwd=away)
    report = json.loads(done.stdout)
    assert report["ok"] is True, (report, done.stderr[-2000:])
    assert f"installing the proxy into {away}" in done.stderr
    assert report["dask_result"] == 500500 and report["charged"] > 0 and report["click_to_ready_s"] > 0
    assert report["when_full"]["centre"] != report["when_full"]["filled"] == report["centre"]
    assert not (away / ".scnet").exists()
