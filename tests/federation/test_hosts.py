"""Tests where a session may listen, by the host name that it reports: each case with its answer, or the key of the page
that would allow it."""

from __future__ import annotations

import pytest

from scnet_hub.domain import hosts
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.errors import Refused
from tests.federation.world import World

NETWORKS = ("10.1.0.0/16", "fd00:1::/64")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGCidwULbuVi7uRN77NL4lsVJ+IaSSWQJkOKyINdGEAq"


@pytest.mark.parametrize(
    ("host", "node", "there"),
    [
        ("node01", "node01", "node01"),
        ("NODE01", "node01", "node01"),
        (
            "node01",
            "Node01.Cluster.Local",
            "node01.cluster.local",
        ),  # the scheduler's fuller name resolves where the short one may not
        ("node01.cluster.local", "node01", "node01.cluster.local"),
        ("node01.cluster.local.", "NODE01", "node01.cluster.local"),
        ("node01.cluster.local", "node01.cluster.local", "node01.cluster.local"),
        ("10.1.2.3", "10.1.2.3", "10.1.2.3"),
        ("FD00:1:0::17", "fd00:1::17", "fd00:1::17"),
    ],
)
def test_names_of_one_node_are_one_and_the_fuller_is_used(host: str, node: str, there: str) -> None:
    assert hosts.on_node(host, node, domains=lambda: ["Cluster.Local"], centre="a") == there


@pytest.mark.parametrize(
    ("host", "node", "key"),
    [
        ("node01.attacker.example", "node01", 'network.domains = ["attacker.example"]'),
        ("node01.other.local", "node01.cluster.local", "network.nodes"),
        ("node01.sub.cluster.local", "node01", 'network.domains = ["sub.cluster.local"]'),
        ("node010", "node01", "network.nodes"),
        ("gpu-node-17", "gn17", "network.nodes"),  # NodeHostName is not the scheduler's NodeName
        ("10.1.2.3", "node01", "network.nodes"),
        ("10.cluster.local", "10.1.2.3", "network.nodes"),
        ("127.0.0.1", "node01", "network.nodes"),
        ("localhost", "node01", "network.nodes"),
        ("", "node01", "network.nodes"),
    ],
)
def test_another_host_is_refused_and_the_key_that_would_allow_it_is_named(host: str, node: str, key: str) -> None:
    with pytest.raises(Refused, match="can listen") as caught:
        hosts.on_node(host, node, domains=lambda: ["cluster.local"], centre="alpha")
    assert caught.value.code == "bad-host" and key in caught.value.hint and "alpha's page" in caught.value.hint
    assert node in str(caught.value)


@pytest.mark.parametrize(
    ("host", "there"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("fd00:1::17", "fd00:1::17"),
        ("FD00:0001:0:0::17", "fd00:1::17"),
        ("[fd00:1::17]", "fd00:1::17"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
    ],
)
def test_an_address_in_the_centres_networks_is_used_in_its_usual_form(host: str, there: str) -> None:
    assert hosts.in_networks(host, NETWORKS, listen="10.1.0.1", centre="a") == there


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("fe80::1%eth0", "zone"),
        ("fd00:1::17%eth0", "zone"),
        ("fd00:2::17", "add their network"),
        ("10.2.0.1", "add their network"),
        ("10.1.0.1", "add their network"),  # where the login node listens for the hub
        ("::ffff:10.1.0.1", "add their network"),
        ("10.1.2.3.cluster", "report an address"),
        ("node01", "report an address"),
        ("010.001.002.003", "report an address"),
        ("167838211", "report an address"),  # 10.1.2.3 as one number, which some resolvers take
    ],
)
def test_another_address_is_refused_with_what_the_page_would_have_to_say(host: str, why: str) -> None:
    with pytest.raises(Refused, match="not in the networks of nodes of alpha") as caught:
        hosts.in_networks(host, NETWORKS, listen="10.1.0.1", centre="alpha")
    assert why in caught.value.hint and "network.nodes" in caught.value.hint


def test_a_centres_domains_are_those_of_its_page_and_of_its_login_nodes() -> None:
    text = f"""
    id = "a"
    name = "A"
    transport = {{ kind = "ssh", hosts = ["login.hpc.example", "10.81.0.11", "gate", "x.cn"], host_keys = ["{KEY}"] }}
    network = {{ domains = ["nodes.example"] }}
    session = {{ python = "/usr/bin/python3", directory = "/s" }}
    partition = [{{ name = "cpu", cores = 8 }}]
    """
    assert parse_centre(text, source="a").domains == {"hpc.example", "nodes.example"}


async def test_a_session_cannot_say_first_on_which_node_it_runs(world: World) -> None:
    """Its own word for its node is no scheduler's: else it could name any host twice, and the hub would lead there."""
    row = await world.submit()
    centre = world.federation.centres[row.copy.centre]
    session = centre.spec.session.model_copy(update={"host": ""})
    centre.spec = centre.spec.model_copy(update={"session": session})
    nonce, there = row.copy.secret, {"host": "evil.example", "port": 5000, "node": "evil.example"}
    await world.federation.call_home.call_home(row.session.id, {"nonce": nonce, "phase": "started", **there})
    with pytest.raises(Exception, match=r"can listen|not said yet"):
        await world.federation.call_home.call_home(row.session.id, {"nonce": nonce, "phase": "listening", **there})
    assert (await world.federation.lookup.get(row.session.id)).copy.node != "evil.example"
