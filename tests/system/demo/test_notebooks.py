"""The tutorial notebooks run top to bottom inside a session that the hub spawned, as does the dashboard behind the
hub."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from scnet_hub.units import format_number

from .conftest import Running, eventually
from .test_main_job import in_lab

NOTEBOOKS = sorted((Path(__file__).parents[3] / "notebooks").glob("*.ipynb"))
CLUSTER = """
import scnet_hub as scnet
cluster = scnet.dask(cores=1, walltime="10m")
client = cluster.get_client()
print(client.submit(sum, [1, 2, 3]).result(timeout=60), cluster.dashboard_link)
"""
MONEY = """
import time
end = time.monotonic() + 60
while " last " not in cluster.money() and time.monotonic() < end:
    time.sleep(0.2)
print(cluster.money())
"""


def cells(notebook: Path) -> list[str]:
    return [
        "".join(cell["source"]) for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"
    ]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
async def test_a_notebook_runs_in_a_session(demo: Running, notebook: Path) -> None:
    browser = await in_lab(demo, profile="medium")
    kernel = await browser.kernel()
    printed = [await kernel.run(source) for source in cells(notebook)]
    assert any(text.strip() for text in printed)
    kernel.close()
    await browser.stop()
    await eventually(lambda: not demo.operator.sessions())
    await browser.http.aclose()


async def test_the_dask_dashboard_is_behind_the_hub_and_only_for_its_owner(demo: Running) -> None:
    browser = await in_lab(demo)
    kernel = await browser.kernel()
    result, link = (await kernel.run(CLUSTER)).split()
    assert result == "6" and link.startswith(f"{demo.url}/user/ada/proxy/")
    page = await browser.http.get(link)
    assert page.status_code == 200 and "bokeh" in page.text.lower()
    assert f'href="{urlsplit(link).path}"' in (await browser.http.get("/hub/home")).text
    said = await kernel.run(MONEY)
    hourly = sum(one["per_hour"] for one in demo.operator.sessions() if one["kind"] == "dask")
    assert said.startswith(f"{format_number(hourly)} credits an hour. At this size the credits of "), said
    other = await in_lab(demo, "grace")
    assert (await other.http.get(link)).status_code in (403, 404)
    await other.stop()
    await other.http.aclose()
    await kernel.run("client.close(); cluster.close()")
    kernel.close()
    await browser.stop()
    await browser.http.aclose()
    await eventually(lambda: not demo.operator.sessions())


async def test_a_second_server_by_name_is_a_session_of_its_own(demo: Running) -> None:
    first = await in_lab(demo)
    answer = await first.http.post(
        "/hub/spawn/ada/second",
        params={"_xsrf": first.xsrf("/hub/")},
        data={"profile": "small"},
        follow_redirects=False,
    )
    assert answer.status_code == 302
    await eventually(lambda: [one["state"] for one in demo.operator.sessions()] == ["ready", "ready"])
    assert sorted(one["name"] for one in demo.operator.sessions()) == ["", "second"]
    await first.stop()
    await eventually(lambda: [one["name"] for one in demo.operator.sessions()] == ["second"])
    await first.http.delete("/hub/api/users/ada/servers/second", headers=first._headers("/hub/"))
    await eventually(lambda: not demo.operator.sessions())
    await first.http.aclose()
