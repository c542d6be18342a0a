"""What one person can't do to another at a centre, and what no list, log or script of a centre shows: asked at the
centre itself.

One JupyterLab of ada's at each real centre; grace has an account there, a shell on the login node and on the very node.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from subprocess import CompletedProcess
from typing import Any

import pytest

from scnet_hub.adapters.secret_files import read_secret
from scnet_hub.demo.browser import Browser
from scnet_hub.errors import ScnetError
from tests.real import testbed as tb
from tests.system.demo.conftest import Running, wait_for

pytestmark = pytest.mark.slow
SGE = "SGE_ROOT=/var/lib/gridengine"
CANCEL = {"a": ["scancel"], "b": ["scancel"], "c": ["env", SGE, "qdel"], "d": ["oardel"]}
REFUSED = re.compile("access/permission denied|necessary privileges|not the right user", re.IGNORECASE)
LISTS = {
    "a": [
        "squeue --noheader --Format=Command:300,Comment:300,Name:100,StdOut:300",
        "scontrol show job",
        "scontrol write batch_script {job} -",
    ],
    "b": [
        "squeue --noheader --Format=Command:300,Comment:300,Name:100,StdOut:300",
        "scontrol show job",
        "scontrol write batch_script {job} -",
    ],
    "c": [f"{SGE} qstat -u '*' -xml", f"{SGE} qstat -j {{job}}", "cat /var/spool/gridengine/qmaster/job_scripts/*"],
    "d": ["oarstat -f", "oarstat -J -f -j {job}", "cat /tmp/OAR_* /var/lib/oar/* 2>/dev/null"],
}
LOGS = (
    "cat /var/log/slurm/* /var/spool/gridengine/*/messages /var/spool/gridengine/execd/*/messages "
    "/var/log/oar.log /var/log/auth.log 2>/dev/null"
)


@dataclass(frozen=True)
class Lab:
    """ada's session at one centre, and what must not be seen of it."""

    centre: str
    session: dict[str, Any]
    folder: str
    secrets: dict[str, str]
    testbed: tb.Testbed

    @property
    def node(self) -> str:
        return f"{self.centre}/{self.session['node']}"

    def as_grace(self, where: str, argv: list[str]) -> CompletedProcess[str]:
        return self.testbed.at(where, argv, account=self.testbed.accounts[self.centre]["grace"])

    def as_admin(self, where: str, words: str) -> str:
        done = self.testbed.at(where, ["sh", "-c", words])
        return done.stdout + done.stderr


@pytest.fixture(scope="module", params=["a", "b", "c", "d"])
def lab(request: pytest.FixtureRequest, hub: Running, testbed: tb.Testbed) -> Iterator[Lab]:
    import asyncio

    centre = request.param

    async def begin() -> None:
        async with Browser(hub.url, "ada") as browser:
            await browser.log_in(hub.passwords["ada"])
            await browser.start(profile="small", centre=centre)
            await browser.until_lab_answers()

    asyncio.run(begin())
    session = next(one for one in hub.operator.sessions() if one["person"] == "ada" and one["kind"] == "lab")
    folder = f"/home/{testbed.accounts[centre]['ada']}/.scnet/{session['id']}"
    start = json.loads(testbed.at(centre, ["cat", f"{folder}/start.json"], check=True).stdout)
    wait_for(lambda: hub.operator.session(session["id"])["node"])
    secrets = {
        "token": start["env"]["JUPYTERHUB_API_TOKEN"],
        "nonce": start["nonce"],
        **{
            f"the {name} token": read_secret(hub.home / "secrets" / f"{name}.token")
            for name in ("hub", "operator", "proxy")
        },
    }
    yield Lab(centre, hub.operator.session(session["id"]), folder, secrets, testbed)
    hub.operator.stop(session["id"])
    wait_for(lambda: hub.operator.session(session["id"])["state"] == "charged", 90)


@pytest.mark.parametrize("file", ["start.json", "log", ""])
def test_a_stranger_reads_no_file_of_a_session(lab: Lab, file: str) -> None:
    for where in (lab.centre, lab.node):
        done = lab.as_grace(where, ["ls" if not file else "cat", f"{lab.folder}/{file}"])
        assert done.returncode != 0 and "Permission denied" in done.stderr


def test_a_stranger_stops_no_job(lab: Lab, hub: Running) -> None:
    done = lab.as_grace(lab.centre, [*CANCEL[lab.centre], lab.session["job_id"]])
    assert REFUSED.search(done.stdout + done.stderr), done
    pids = lab.as_admin(lab.node, f"pgrep -u {lab.testbed.accounts[lab.centre]['ada']}").split()
    assert pids and lab.as_grace(lab.node, ["kill", "-9", *pids]).returncode != 0
    assert hub.operator.session(lab.session["id"])["state"] == "ready"
    assert lab.as_admin(lab.node, f"pgrep -u {lab.testbed.accounts[lab.centre]['ada']}").split()[0] == pids[0]


def test_a_stranger_sees_no_job_where_the_centre_keeps_them_private(lab: Lab) -> None:
    if lab.centre != "a":  # the others show everybody's jobs to everybody: their names and sizes, no more
        return
    assert lab.as_grace("a", ["squeue", "--noheader"]).stdout == ""


def test_a_stranger_on_the_same_node_is_not_let_into_the_session(lab: Lab) -> None:
    found = lab.as_admin(lab.node, f"grep -oE 'http://[0-9.]+:[0-9]+/user/ada/' {lab.folder}/log | head -1").strip()
    assert found
    for path, expected in (
        ("api/contents", "403"),
        ("api/kernels", "403"),
        ("lab", "302"),
        ("files/.scnet-link", "302"),
    ):
        code = lab.as_grace(
            lab.node, ["curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", f"{found}{path}"]
        ).stdout
        assert code == expected, (path, code)


def test_a_stranger_finds_nothing_of_it_through_the_hub(lab: Lab, hub: Running) -> None:
    with hub.as_hub("grace") as broker:
        for ask in (broker.get, broker.delete):
            assert ask(f"sessions/{lab.session['id']}").json()["code"] == "unknown-session"
        assert broker.get(f"sessions/{lab.session['id']}/log").status_code == 404
        assert lab.session["id"] not in broker.get("sessions", params={"all": 1}).text


async def test_a_stranger_does_not_get_in_through_the_proxy(lab: Lab, hub: Running) -> None:
    async with Browser(hub.url, "grace") as browser:
        await browser.log_in(hub.passwords["grace"])
        answer = await browser.http.get("/user/ada/api/kernels")
        assert answer.status_code in (403, 404)


def test_no_list_script_or_log_of_the_centre_shows_a_secret(lab: Lab) -> None:
    seen = {
        words: lab.as_admin(lab.centre, words.format(job=lab.session["job_id"])) for words in (*LISTS[lab.centre], LOGS)
    }
    seen |= {f"{words} on the node": lab.as_admin(lab.node, words) for words in ("ps axww", LOGS)}
    seen["ps on the login node"] = lab.as_admin(lab.centre, "ps axww")
    assert lab.session["id"] in "".join(seen.values()), "the lists show the job at all"
    shown = [(name, words) for words, text in seen.items() for name, secret in lab.secrets.items() if secret in text]
    assert not shown


def test_no_log_of_the_hub_or_of_the_session_shows_a_secret(lab: Lab, hub: Running) -> None:
    texts = {path.name: path.read_text(errors="replace") for path in (hub.home / "logs").glob("*.log")}
    texts["the session's own"] = lab.as_admin(lab.centre, f"cat {lab.folder}/log")
    assert len(texts) >= 4 and all(texts.values())
    assert not [
        (name, where) for where, text in texts.items() for name, secret in lab.secrets.items() if secret in text
    ]


def test_the_start_file_is_emptied_when_the_session_is_over(hub: Running, testbed: tb.Testbed) -> None:
    with hub.as_hub("ada") as broker:
        done = broker.post(
            "sessions", json={"kind": "batch", "argv": ["true"], "centre": "a", "env": {"MY_KEY": "s3cret-of-mine"}}
        ).json()
        session = wait_for(
            lambda: (one := broker.get(f"sessions/{done['id']}").json())["state"] == "charged" and one, 60
        )
    assert session["end_reason"] == "The program ended by itself."
    text = testbed.at("a", ["cat", f"/home/ada/.scnet/{done['id']}/start.json"], check=True).stdout
    assert text.strip() == "{}"


def test_an_account_is_linked_by_the_word_left_there_and_by_nothing_else(hub: Running, testbed: tb.Testbed) -> None:
    """admin has no account at a: links grace's second login there, made for this test."""
    testbed.at("a", ["useradd", "-m", "-p", "*", "-s", "/bin/bash", "adm1"])
    testbed.at("a", ["sh", "-c", "echo adm1 > /etc/ssh/principals/adm1; chmod 700 /home/adm1"], check=True)
    with hub.as_hub("admin") as broker:
        refused = broker.post("placements", json={"centre": "a", "project": "materials"}).json()
        assert "no account linked" in refused["refusals"][0]["reason"]
        asked = broker.post("account-links/a", json={"account": "adm1"}).json()
        assert broker.post("account-links/a/proof").json()["code"] == "not-proven"
        assert broker.post("account-links/a", json={"account": "ada"}).json()["code"] == "account-taken"
        # in a home that is not that account's
        testbed.at("a", ["sh", "-c", asked["command"]], account="grace", check=True)
        assert broker.post("account-links/a/proof").json()["code"] == "not-proven"
        testbed.at("a", ["sh", "-c", asked["command"]], account="adm1", check=True)
        assert broker.post("account-links/a/proof").json()["account"] == "adm1"
        assert broker.post("placements", json={"centre": "a", "project": "materials"}).json()["best"]["centre"] == "a"
        assert broker.delete("account-links/a").json()["ended_by"] == "admin"


def test_a_wrong_password_reaches_no_centre(hub: Running) -> None:
    import asyncio

    async def knock() -> None:
        async with Browser(hub.url, "ada") as browser:
            await browser.log_in("wrong")

    with pytest.raises(ScnetError):
        asyncio.run(knock())
