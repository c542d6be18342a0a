"""Tests how a person finds and stops their Dask clusters from anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import Result

import scnet_hub as scnet
from scnet_hub.client.clusters.listing import clusters_of, find
from scnet_hub.errors import BadOption
from tests.builders.fakes.broker import FakeBroker
from tests.unit.cli.federation import run
from tests.unit.client.panels import samples


@pytest.fixture
def broker() -> Iterator[FakeBroker]:
    with FakeBroker() as fake:
        for name in ("dask-3f2a-0", "dask-3f2a-1", "thesis-00ff-0", "x-1"):
            kind = "batch" if name == "x-1" else "dask"
            fake.sessions[name] = samples.session(id=name, name=name, kind=kind, in_flight=0.25)
        fake.sessions["dask-3f2a-1"] |= {"state": "queued", "centre": "beta", "started_at": None, "in_flight": 0.0}
        yield fake


def call(broker: FakeBroker, *words: str) -> Result:
    return run(*words, connect=broker.client)


def test_jobs_are_grouped_by_their_cluster(broker: FakeBroker) -> None:
    found = clusters_of(broker.client().sessions())
    assert {one["name"]: (one["jobs"], one["running"], one["waiting"], one["centres"]) for one in found} == {
        "dask-3f2a": (2, 1, 1, ["alpha", "beta"]),
        "thesis-00ff": (1, 1, 0, ["alpha"]),
    }
    assert scnet.dask.list(broker.client()) == found


def test_a_cluster_is_stopped_by_name_and_no_other_job(broker: FakeBroker) -> None:
    assert len(scnet.dask.stop("thesis", broker.client())) == 1
    assert call(broker, "clusters", "stop", "dask-3f2a").stdout == "Stopping 2 jobs of dask-3f2a.\n"
    assert [one["name"] for one in broker.live()] == ["x-1"]


def test_names_that_are_none_are_refused_with_those_that_are() -> None:
    found: list[dict[str, Any]] = [{"name": "thesis-00ff"}, {"name": "thesis-11aa"}, {"name": "a-22bb"}]
    assert find("thesis-00ff", found)["name"] == "thesis-00ff" and find("a", found)["name"] == "a-22bb"
    with pytest.raises(BadOption, match="2 of your clusters are called 'thesis'") as caught:
        find("thesis", found)
    assert caught.value.hint == "Give one of thesis-00ff, thesis-11aa."
    with pytest.raises(BadOption, match="no cluster 'the'"):
        find("the", found)


def test_the_command_lists_them_for_people_and_programs(broker: FakeBroker) -> None:
    text = call(broker, "clusters").stdout
    assert "thesis-00ff" in text and "alpha, beta" in text and "x-1" not in text
    document = json.loads(call(broker, "clusters", "--json").stdout)
    assert [one["name"] for one in document["clusters"]] == [one["name"] for one in clusters_of(broker.live())]
    refused = call(broker, "clusters", "stop", "none", "--json")
    assert refused.exit_code == 1 and "You have no cluster" in json.loads(refused.stdout)["title"]
    broker.sessions.clear()
    assert call(broker, "clusters").stdout == "No Dask clusters.\n"
