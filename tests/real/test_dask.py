"""A Dask cluster from a notebook at each real centre: its workers are jobs there, under the person's own account."""

from __future__ import annotations

import pytest

from scnet_hub.demo.browser import Browser
from tests.real import testbed as tb
from tests.system.demo.conftest import Running, eventually

COMPUTE = """
import scnet_hub as scnet
cluster = scnet.dask(cores=2, job_cores=1, memory="4G", walltime="20m")
client = cluster.get_client()
client.wait_for_workers(2, timeout=90)
print(client.submit(sum, range(1001)).result(timeout=60))
with open("beside.py", "w") as module:
    module.write("def answer(number):\\n    return number * 2\\n")
import beside
client.restart(timeout=90)
print(client.submit(beside.answer, 21).result(timeout=60))
print(sorted(set(client.run(lambda: __import__("getpass").getuser()).values())))
client.close(); cluster.close()
"""


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.slow
@pytest.mark.parametrize("centre", ["a", "b", "c", "d"])
async def test_workers_run_beside_the_notebook(hub: Running, testbed: tb.Testbed, centre: str) -> None:
    async with Browser(hub.url, "ada") as browser:
        await browser.log_in(hub.passwords["ada"])
        await browser.start(profile="small", centre=centre)
        await browser.until_lab_answers()
        kernel = await browser.kernel()
        said = (await kernel.run(COMPUTE, 150)).split("\n")
        assert said[:2] == ["500500", "42"] and said[2] == f"['{testbed.accounts[centre]['ada']}']"
        workers = [one for one in hub.operator.sessions(all=True) if one["kind"] == "dask" and one["centre"] == centre]
        assert len(workers) == 2
        kernel.close()
        await browser.stop()
        await eventually(lambda: not hub.operator.sessions(), 90)
        charged = await eventually(
            lambda: [one for one in hub.operator.sessions(all=True) if one["charged"] is None] == [] and "all", 90
        )
        assert charged == "all"
