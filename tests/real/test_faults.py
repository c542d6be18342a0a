"""What goes wrong at a real centre gets a sentence and loses nothing: asked through the hub's door, broken at the
centre."""

from __future__ import annotations

import os
import signal
from typing import Any

import httpx
import pytest

from scnet_hub.demo.browser import Browser
from tests.real import testbed as tb
from tests.system.demo.conftest import Running, eventually, wait_for

pytestmark = pytest.mark.slow
Json = dict[str, Any]


def batch(broker: httpx.Client, *argv: str, **options: object) -> Json:
    answer: Json = broker.post("sessions", json={"kind": "batch", "argv": list(argv), **options}).json()
    return answer


def until(broker: httpx.Client, session: Json, *states: str, seconds: float = 60) -> Json:
    return wait_for(lambda: (one := broker.get(f"sessions/{session['id']}").json())["state"] in states and one, seconds)  # type: ignore[no-any-return]


@pytest.mark.parametrize("centre", ["a", "b", "c", "d"])
def test_the_same_job_runs_at_every_centre_as_the_persons_own_account(
    hub: Running, testbed: tb.Testbed, centre: str
) -> None:
    with hub.as_hub("grace") as broker:
        session = batch(
            broker,
            "sh",
            "-c",
            "id -un; pwd; echo $GREETING",
            centre=centre,
            env={"GREETING": "a 'b' $c"},
            project="climate",
        )
        ended = until(broker, session, "charged")
        said = broker.get(f"sessions/{session['id']}/log").json()["log"].splitlines()
    assert ended["end_reason"] == "The program ended by itself." and ended["charged"] >= 0  # Slurm counts whole seconds
    account = testbed.accounts[centre]["grace"]
    assert said[-3:] == [account, f"/home/{account}/scnet-jobs/{session['id']}", "a 'b' $c"]


def test_a_home_over_quota_is_said_and_nothing_is_held(hub: Running, testbed: tb.Testbed) -> None:
    with testbed.broken("a", "home-full", "grace"), hub.as_hub("grace") as broker:
        session = batch(broker, "true", centre="a", project="climate")
        ended = until(broker, session, "charged")
        assert "No space left on device" in ended["end_reason"] and ended["charged"] == 0
        balance = next(one for one in broker.get("balances").json()["balances"] if one["id"] == "climate")
    assert balance["held"] == 0


def test_a_shell_that_talks_does_no_harm(hub: Running, testbed: tb.Testbed) -> None:
    with testbed.broken("b", "chatty"), hub.as_hub("ada") as broker:
        session = batch(broker, "echo", "hello", centre="b", project="climate")
        assert until(broker, session, "charged")["end_reason"] == "The program ended by itself."
        assert broker.get(f"sessions/{session['id']}/log").json()["log"].endswith("hello\n")


def test_a_shell_that_asks_a_question_gets_no_answer_and_is_said_to_have_eaten_the_file(
    hub: Running, testbed: tb.Testbed
) -> None:
    with testbed.broken("b", "curious"), hub.as_hub("ada") as broker:
        session = batch(broker, "echo", "hello", centre="b", project="climate")
        ended = until(broker, session, "charged")
    assert "bytes arrived" in ended["end_reason"] and ended["charged"] == ended["held"] == 0


def test_a_scheduler_that_is_gone_keeps_sessions_and_the_others_do_not_notice(
    hub: Running, testbed: tb.Testbed
) -> None:
    """Stopped, not killed: a slurmctld that is killed in the first seconds of a job forgets that it started."""
    with hub.as_hub("ada") as broker:
        there = batch(broker, "sleep", "600", centre="a", name="there", project="climate")
        until(broker, there, "ready")
        with testbed.broken("a", "ctl-hang"):
            unknown = wait_for(lambda: (one := broker.get(f"sessions/{there['id']}").json())["unknown_since"] and one)
            assert unknown["state"] == "ready" and unknown["held"] + unknown["in_flight"] > 0
            assert "Socket timed out" in unknown["unknown_why"]
            elsewhere = batch(broker, "true", name="elsewhere", project="climate")
            assert elsewhere["centre"] != "a"
            assert until(broker, elsewhere, "charged")["end_reason"] == "The program ended by itself."
        wait_for(lambda: not broker.get(f"sessions/{there['id']}").json()["unknown_since"])
        broker.delete(f"sessions/{there['id']}")
        assert until(broker, there, "charged")["end_reason"] == "Stopped on request."


def test_a_centre_that_asks_for_a_second_factor_is_said_to_do_so(hub: Running, testbed: tb.Testbed) -> None:
    """Standing connections live on: this one is ended first."""
    with testbed.broken("d", "mfa-on"), hub.as_hub("grace") as broker:
        testbed.at("d", ["pkill", "-u", testbed.accounts["d"]["grace"], "-x", "sshd"])
        session = batch(broker, "true", centre="d", name="mfa", project="climate")
        told = wait_for(lambda: (one := broker.get(f"sessions/{session['id']}").json())["reason"] and one)
        assert told["state"] == "intent" and "second factor" in told["reason"]
        broker.delete(f"sessions/{session['id']}")
    with hub.as_hub("grace") as broker:
        until(broker, session, "charged", "ended", seconds=90)


def test_equal_job_ids_of_two_centres_are_two_jobs(hub: Running, testbed: tb.Testbed) -> None:
    with hub.as_hub("ada") as broker:
        pair = [batch(broker, "sleep", "600", centre=centre, name=f"at-{centre}", project="climate") for centre in "ab"]
        ready = [until(broker, one, "ready") for one in pair]
        ids = {centre: testbed.at(centre, ["squeue", "--noheader", "--format=%j %A"]).stdout.split() for centre in "ab"}
        for one in ready:
            assert f"scnet-{one['id']}" in ids[one["centre"]] and one["job_id"] in ids[one["centre"]]
        broker.delete(f"sessions/{pair[0]['id']}")
        until(broker, pair[0], "charged")
        assert broker.get(f"sessions/{pair[1]['id']}").json()["state"] == "ready"
        broker.delete(f"sessions/{pair[1]['id']}")
        until(broker, pair[1], "charged")


async def test_a_killed_broker_and_hub_cut_no_kernel_at_the_closed_centre(hub: Running) -> None:
    """The forwards live in a process of their own: the kernel's websocket through them and the proxy goes on."""
    async with Browser(hub.url, "ada") as browser:
        await browser.log_in(hub.passwords["ada"])
        await browser.start(profile="small", centre="b")
        await browser.until_lab_answers()
        kernel = await browser.kernel()
        assert (await kernel.run("x = 20; print(x + 1)")).strip() == "21"
        for name in ("broker", "hub"):
            os.kill(hub.pid(name), signal.SIGKILL)
        assert (await kernel.run("print(x + 2)")).strip() == "22"
        await eventually(lambda: [one["state"] for one in hub.operator.sessions() if one["kind"] == "lab"] == ["ready"])
        assert (await kernel.run("print(x + 3)")).strip() == "23"
        kernel.close()
        await eventually(lambda: httpx.get(f"{hub.url}/hub/api/", trust_env=False).status_code == 200)
        session = next(one for one in hub.operator.sessions() if one["kind"] == "lab")
        hub.operator.stop(session["id"])
        await eventually(lambda: hub.operator.session(session["id"])["state"] == "charged", 90)
