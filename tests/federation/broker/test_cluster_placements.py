"""Tests the placement of all jobs of a cluster by REST: where most start soon, and what they cost together."""

from __future__ import annotations

import httpx
import pytest

from tests.federation.world import World

from .door import by

PATH = "cluster-placements"


async def test_all_jobs_go_together_and_their_cost_is_the_sum_of_what_is_held(
    world: World, door: httpx.AsyncClient
) -> None:
    options = {"walltime": "1h", "kind": "batch"}
    body = {**options, "jobs": [{"cores": 2}, {"count": 2, "cores": 1, "memory": "500M"}]}
    found = (await door.post(PATH, headers=by("ada"), json=body)).json()
    best = found["best"]
    assert (found["jobs"], best["jobs"], best["soon"], found["refusal"]) == (3, 3, 3, None)
    assert found["reason"].startswith(f"{best['centre_name']}, partition {best['partition']}: 3 of 3 jobs would start")
    assert (await door.get("sessions", headers=by("ada"))).json()["sessions"] == []
    before = (await door.get("balances", headers=by("ada"))).json()["balances"][0]["available"]
    for number, size in enumerate([{"cores": 2}, *[{"cores": 1, "memory": "500M"}] * 2]):
        job = {**options, **size, "name": f"job-{number}", "argv": ["sleep", "60"], "centre": best["centre"]}
        answer = await door.post("sessions", headers=by("ada"), json=job)
        assert answer.status_code == 201, answer.text
    after = (await door.get("balances", headers=by("ada"))).json()["balances"][0]["available"]
    assert before - after == pytest.approx(best["quote"]["held_first"], abs=1e-6)
    assert best["quote"]["low"] <= best["quote"]["expected"] <= best["quote"]["max"]
    assert best["quote"]["after_first"] == pytest.approx(after, abs=1e-6)


async def test_more_jobs_than_one_centre_has_free_go_where_most_of_them_start(
    world: World, door: httpx.AsyncClient
) -> None:
    body = {"kind": "dask", "jobs": [{"count": 256, "cores": 1}]}
    found = (await door.post(PATH, headers=by("ada"), json=body)).json()
    assert found["best"]["soon"] == max(one["soon"] for one in found["ranked"]) < 256
    assert "of 256 jobs would start" in found["reason"] and found["best"]["last_start"] not in ("", "now")
    assert found["best"]["quote"]["held_first"] > 0
    refusal = found["refusal"]
    assert refusal["code"] == "over-quota" and "would pass" in refusal["hint"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "jobs: is missing"),
        ({"jobs": []}, "jobs"),
        ({"jobs": [{"count": 0}]}, "jobs.0.count"),
        ({"jobs": [{"cores": -1}]}, "jobs.0.cores"),
        ({"jobs": [{"cores": 1.5}]}, "jobs.0.cores"),
        ({"jobs": [{"nodes": 2}]}, "jobs.0.nodes"),
        ({"jobs": [{"count": 200}, {"count": 200}]}, "jobs: 400 are too many for one decision; at most 256."),
        ({"jobs": [{"memory": "much"}]}, "memory"),
        ({"jobs": [{"cores": 2}], "walltime": "soon"}, "walltime"),
        ({"jobs": [{"cores": 2}], "speed": 9}, "speed"),
        ({"jobs": [{"cores": 2}], "cores": 2}, "cores is not an option of a whole cluster."),
        ({"jobs": [{"cores": 2}], "memory": []}, "memory is not an option of a whole cluster."),
    ],
)
async def test_what_is_wrong_is_named(world: World, door: httpx.AsyncClient, body: object, words: str) -> None:
    answer = await door.post(PATH, headers=by("ada"), json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-option") and words in answer.json()["title"]


async def test_jobs_that_fit_nowhere_have_no_place(world: World, door: httpx.AsyncClient) -> None:
    found = (await door.post(PATH, headers=by("ada"), json={"jobs": [{"cores": 5000}]})).json()
    assert found["best"] is None and found["ranked"] == [] and found["refusals"]
    assert found["reason"].startswith("No centre can take this now")
