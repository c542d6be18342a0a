"""Tests what a centre gets to start a session: addresses as its nodes reach them, and secrets in the file only."""

from dataclasses import replace

import pytest

from scnet_hub.domain.sessions import start_file
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.domain.standard.federation import parse_federation
from scnet_hub.errors import SpecError
from tests.builders.copies import session_copy

PAGE = """
id = "b"
name = "Beta"
[transport]
kind = "ssh"
hosts = ["b.example"]
host_keys = ["ssh-ed25519 AAAA"]
[network]
nodes = ["10.1.0.0/16"]
[session]
python = "/opt/s/bin/python"
directory = "/home/{account}/.scnet"
home = "/home/{account}"
memory_per_core = "2G"
[[partition]]
name = "batch"
cores = 4
"""
SPEC = parse_centre(PAGE, source="b.toml")
ADDRESSES = start_file.Addresses(public_url="http://hub:8000", call_home="http://hub:8000/api/{}/call-home")
ENV = {
    "JUPYTERHUB_API_URL": "http://hub:8000/hub/api",
    "JUPYTERHUB_ACTIVITY_URL": "http://hub:8000/hub/api/users/ada/activity",
    "SCNET_API_URL": "http://hub:8000/services/scnet/api/v1",
    "JUPYTERHUB_PUBLIC_URL": "http://hub:8000/user/ada/",
    "JUPYTERHUB_API_TOKEN": "s3cret",
    "SCNET_SESSION": "not this one",
}


ROW = session_copy(
    id="x1", account="u4711", centre="b", partition="batch", project="climate", kind="lab", secret="n0nce",
    payload={"argv": ["jupyterhub-singleuser"], "env": ENV},
    request={"person": "ada", "project": "climate", "cores": 2, "walltime_s": 3600},
)  # fmt: skip


def test_a_session_behind_the_login_node_calls_the_hub_there_and_its_person_stays_outside() -> None:
    start = ADDRESSES.start_file(SPEC, ROW, "http://10.1.0.1:18000")
    assert start["call_home"] == "http://10.1.0.1:18000/api/x1/call-home"
    assert start["env"]["JUPYTERHUB_API_URL"] == "http://10.1.0.1:18000/hub/api"
    assert start["env"]["JUPYTERHUB_ACTIVITY_URL"] == "http://10.1.0.1:18000/hub/api/users/ada/activity"
    assert start["env"]["SCNET_API_URL"] == "http://10.1.0.1:18000/services/scnet/api/v1"
    assert start["env"]["JUPYTERHUB_PUBLIC_URL"] == "http://hub:8000/user/ada/"
    assert start["env"]["SCNET_SESSION"] == "x1", "the person's own environment does not rename the session"


@pytest.mark.parametrize(
    ("page", "told"), [("", "7200"), ('[idle]\ntimeout = "90m"', "5400"), ("[idle]\ntimeout = 0", "0")]
)
def test_a_session_is_told_after_how_long_without_use_it_ends(page: str, told: str) -> None:
    federation = parse_federation(f'centres = ["b"]\n{page}', source="federation.toml")
    start = replace(ADDRESSES, idle_timeout=federation.idle.timeout).start_file(SPEC, ROW, "")
    assert start["env"]["SCNET_IDLE_TIMEOUT"] == told


def test_a_session_knows_what_it_has_on_one_node_by_jupyterhubs_names() -> None:
    request = {**ROW.session.request, "cores": 8, "memory": 64 * 2**30, "nodes": 4}
    row = ROW._replace(session=replace(ROW.session, request=request))
    env = ADDRESSES.start_file(SPEC, row, "")["env"]
    assert (env["CPU_LIMIT"], env["MEM_LIMIT"]) == ("2", str(16 * 2**30))
    env = ADDRESSES.start_file(SPEC, ROW, "")["env"]
    assert (env["CPU_GUARANTEE"], env["MEM_GUARANTEE"]) == ("2", str(2 * SPEC.session.memory_per_core)), (
        "the centre's own default counts"
    )


def test_a_negative_idle_time_is_named() -> None:
    with pytest.raises(SpecError, match=r"idle\.timeout"):
        parse_federation('centres = ["b"]\n[idle]\ntimeout = -5', source="federation.toml")


def test_a_session_that_reaches_the_hub_is_told_its_public_address() -> None:
    start = ADDRESSES.start_file(SPEC, ROW, "")
    assert (
        start["call_home"] == "http://hub:8000/api/x1/call-home"
        and start["env"]["JUPYTERHUB_API_URL"] == ENV["JUPYTERHUB_API_URL"]
    )
    assert start["networks"] == ["10.1.0.0/16"] and start["home"] == "/home/u4711"


def test_the_job_itself_names_the_file_and_no_secret() -> None:
    job = start_file.job_spec(SPEC, ROW)
    assert job.argv[-1] == "/home/u4711/.scnet/x1/start.json" and job.output == "/home/u4711/.scnet/x1/log"
    assert (job.name, job.directory, job.memory) == ("scnet-x1", "/home/u4711/.scnet/x1", 4 * 2**30)
    assert "s3cret" not in repr(job) and "n0nce" not in repr(job)
