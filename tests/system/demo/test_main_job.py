"""The demo as its users meet it: start, refuse, wait, stop, charge; on real processes, over HTTP."""

from __future__ import annotations

import subprocess
from pathlib import Path

import httpx
import psutil
import pytest

from scnet_hub.adapters.secret_files import read_secret
from scnet_hub.demo.browser import Browser
from scnet_hub.domain.addresses import PREFIX
from scnet_hub.errors import ScnetError
from scnet_hub.hub.login_throttle import FREE_OF_NAME

from .conftest import SCNET, Running, eventually, start, stop, wait_for


async def in_lab(demo: Running, person: str = "ada", **form: str) -> Browser:
    browser = Browser(demo.url, person)
    await browser.log_in(demo.passwords[person])
    await browser.start(**(form or {"profile": "small"}))
    await browser.until_lab_answers()
    return browser


def lab_of(demo: Running, person: str) -> dict[str, object]:
    return next(one for one in demo.operator.sessions() if one["person"] == person and one["kind"] == "lab")


async def test_start_compute_stop_charge(demo: Running) -> None:
    browser = await in_lab(demo)
    session = lab_of(demo, "ada")
    assert session["state"] == "ready" and session["why"] and session["held"] + session["in_flight"] > 0  # type: ignore[operator]
    kernel = await browser.kernel()
    assert (await kernel.run("import os; print(os.environ['SCNET_CENTRE'])")).strip() == session["centre"]
    assert session["centre"] in await kernel.run(
        "import scnet_hub as scnet; print([one['centre'] for one in scnet.sessions()])"
    )
    kernel.close()
    await browser.stop()
    ended = await eventually(lambda: (one := demo.operator.session(str(session["id"])))["state"] == "charged" and one)
    assert ended["charged"] > 0 and ended["held"] == 0
    balance = demo.operator.balance()[0]
    assert balance["granted"] == pytest.approx(
        balance["settled"] + balance["in_flight"] + balance["held"] + balance["available"]
    )
    await browser.http.aclose()


async def test_a_wrong_password_and_an_unknown_name_do_not_get_in(demo: Running) -> None:
    for person, password in (("ada", "wrong"), ("nobody", demo.passwords["ada"]), ("ada", ""), ("ada", "x" * 100_000)):
        async with Browser(demo.url, person) as browser:
            with pytest.raises(ScnetError):
                await browser.log_in(password)


async def test_the_login_page_says_when_to_try_again_after_wrong_passwords(demo: Running) -> None:
    async with Browser(demo.url, "mallory") as browser:
        await browser.http.get("/hub/login")
        form = {"username": "mallory", "password": "guess", "_xsrf": browser.xsrf("/hub/")}
        answers = [await browser.http.post("/hub/login", data=form) for _ in range(FREE_OF_NAME + 1)]
    assert [answer.status_code for answer in answers] == [403] * FREE_OF_NAME + [429]
    assert (
        int(answers[-1].headers["Retry-After"]) >= 1
        and "too many wrong passwords for this name. Try again in" in answers[-1].text
    )
    assert 'name="password"' in answers[-1].text


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"profile": "own", "cores": "-1"}, "cores: -1 is out of range"),
        ({"profile": "own", "cores": "1\n#SBATCH --uid=0"}, "cores"),
        ({"profile": "own", "walltime": "forever"}, "walltime"),
        ({"profile": "own", "memory": "1 zillion"}, "memory"),
        ({"profile": "nonsense"}, "no profile"),
        ({"profile": "small", "exec_prefix": "id"}, "Unknown option"),
        ({"profile": "small", "project": "x" * 1_000_000}, "too many"),
    ],
)
async def test_a_form_with_odd_input_is_refused_in_words_on_the_page(
    demo: Running, form: dict[str, str], words: str
) -> None:
    async with Browser(demo.url, "ada") as browser:
        await browser.log_in(demo.passwords["ada"])
        with pytest.raises(ScnetError, match=words):
            await browser.start(**form)
    assert not demo.operator.sessions()


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"cores": 10_000}, "no-placement", "cores"),
        ({"walltime": "60d"}, "no-placement", "limit"),
        ({"gpus": 64}, "no-placement", "GPU"),
        ({"centre": "nowhere"}, "unknown-centre", "no centre 'nowhere'"),
        ({"project": "secret"}, "unknown-project", "not a member"),
        ({"cores": 0}, "bad-option", "out of range"),
        ({"memory": "1e99"}, "bad-option", "memory"),
        ({"setattr": 1}, "bad-option", "Unknown option"),
        ({"name": "a\nb"}, "bad-option", "line breaks"),
    ],
)
def test_rest_refuses_in_words_with_a_stable_code(
    demo: Running, options: dict[str, object], code: str, words: str
) -> None:
    with demo.as_hub("ada") as broker:
        answer = broker.post("sessions", json={"kind": "batch", "argv": ["true"], **options})
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["code"], answer.status_code // 100) == (code, 4) and words in answer.json()["title"]
    assert not demo.operator.sessions()


def test_bodies_that_are_no_requests(demo: Running) -> None:
    with demo.as_hub("ada") as broker:
        assert broker.post("sessions", content=b"x" * 1_000_000).json()["code"] == "too-large"
        assert broker.post("sessions", content=b"[" * 100_000).json()["code"] == "bad-option"
        assert broker.post("sessions", content=b"[]").json()["code"] == "bad-option"
        assert broker.get("sessions/no-such").json()["code"] == "unknown-session"
        assert broker.get("no/such/call").status_code == 404


def test_a_person_without_a_project_is_told_whom_to_ask(demo: Running) -> None:
    with demo.as_hub("stranger") as broker:
        problem = broker.post("sessions", json={"kind": "batch", "argv": ["true"]}).json()
    assert problem["code"] == "no-project" and "operators" in problem["hint"]


def test_over_quota_and_over_budget_name_the_largest_that_passes(demo: Running) -> None:
    with demo.as_hub("grace") as broker:
        quota = broker.post(
            "sessions", json={"kind": "batch", "argv": ["true"], "project": "materials", "cores": 8, "name": "a"}
        )
        assert quota.status_code == 201
        over = broker.post(
            "sessions", json={"kind": "batch", "argv": ["sleep", "1"], "project": "materials", "cores": 1, "name": "b"}
        ).json()
        wait_for(lambda: not demo.operator.sessions())
        money = broker.post(
            "sessions", json={"kind": "batch", "argv": ["true"], "project": "materials", "cores": 8, "walltime": "23h"}
        ).json()
    assert (over["code"], over["details"]["over"][0]["would_pass"]) == ("over-quota", 0)
    assert (
        money["code"] == "overdrawn"
        and money["details"]["walltime_would_pass_s"] > 3600
        and "would pass" in money["hint"]
    )


def test_tokens_that_are_none(demo: Running) -> None:
    base = demo.url + PREFIX
    assert httpx.get(f"{base}/sessions").json()["code"] == "bad-token"
    assert httpx.get(f"{base}/sessions", headers={"Authorization": "token expired"}).json()["code"] == "bad-token"
    assert httpx.get(f"{base}/health").json()["ok"] is True


def test_a_monitor_reads_what_is_asked_of_each_centre(demo: Running) -> None:
    url, token = f"{demo.url}{PREFIX}/metrics", read_secret(demo.home / "secrets" / "operator.token")
    text = httpx.get(url, headers={"Authorization": f"token {token}"}).text
    for centre in ("alpha", "beta", "gamma"):
        assert f'scnet_centre_questions_total{{answered="yes",centre="{centre}",program="squeue"}}' in text
        assert f'scnet_centre_state{{centre="{centre}",state="up"}} 1.0' in text
        assert f'scnet_centre_snapshot_age_seconds{{centre="{centre}"}}' in text
    with demo.as_hub("ada") as broker:
        assert broker.get("metrics").json()["code"] == "not-entitled"


async def test_one_person_sees_and_stops_nothing_of_another(demo: Running) -> None:
    browser = await in_lab(demo)
    mine = lab_of(demo, "ada")
    kernel = await browser.kernel()
    token = (await kernel.run("import os; print(os.environ['JUPYTERHUB_API_TOKEN'])")).strip()
    kernel.close()
    with demo.as_hub("grace") as grace:
        foreign = grace.post("sessions", json={"kind": "batch", "argv": ["sleep", "60"], "name": "mine"}).json()["id"]
        assert grace.get(f"sessions/{mine['id']}").status_code == 404
        assert grace.delete(f"sessions/{mine['id']}").status_code == 404
        headers = {"Authorization": f"token {token}", "X-SCNet-Person": "grace"}
        with httpx.Client(base_url=f"{demo.url}{PREFIX}/", headers=headers) as ada:
            assert ada.get("me").json()["person"] == "ada"
            assert [one["person"] for one in ada.get("sessions").json()["sessions"]] == ["ada"]
            assert (
                ada.get(f"sessions/{foreign}").status_code == 404
                and ada.delete(f"sessions/{foreign}").status_code == 404
            )
            assert ada.post("sessions", json={"kind": "lab", "argv": ["x"]}).json()["code"] == "hub-only"
            assert (
                ada.post(
                    f"sessions/{foreign}/call-home",
                    json={"nonce": "x", "phase": "listening", "host": "127.0.0.1", "port": 8081, "node": "n"},
                ).json()["code"]
                == "bad-nonce"
            )
        assert "token" not in httpx.get(f"{demo.url}{PREFIX}/sessions/{mine['id']}", headers=headers).json()
        grace.delete(f"sessions/{foreign}")
    answer = httpx.post(
        f"{demo.url}/hub/api/batchspawner",
        headers={"Authorization": f"token {token}"},
        json={"exec_prefix": "id > pwned;", "port": 5000},
    )
    assert answer.status_code == 410
    await browser.stop()
    await browser.http.aclose()
    await eventually(lambda: not demo.operator.sessions())


async def test_a_full_federation_queues_and_a_stop_while_waiting_holds_nothing(demo: Running) -> None:
    with demo.as_hub("ada") as broker:
        for centre in [one["id"] for one in demo.operator.centres()]:
            subprocess.run([SCNET, "demo", "--home", str(demo.home), "--fill", centre], check=True, timeout=60)
        await eventually(lambda: all(one["cores_free"] == 0 for one in demo.operator.centres()))
        placement = broker.post("placements", json={"cores": 1}).json()
        assert placement["best"]["wait"] in ("soon", "later")
        session = broker.post("sessions", json={"kind": "batch", "argv": ["true"], "name": "waits"}).json()
        queued = await eventually(
            lambda: (one := broker.get(f"sessions/{session['id']}").json())["state"] == "queued" and one
        )
        assert queued["held"] > 0
        broker.delete(f"sessions/{session['id']}")
        ended = await eventually(
            lambda: (one := broker.get(f"sessions/{session['id']}").json())["state"] == "charged" and one
        )
        assert ended["charged"] == 0 and ended["held"] == 0
    for centre in [one["id"] for one in demo.operator.centres()]:
        subprocess.run([SCNET, "demo", "--home", str(demo.home), "--unfill", centre], check=True, timeout=60)


def test_no_token_in_logs_scripts_or_process_lists(demo: Running) -> None:
    with demo.as_hub("ada") as broker:
        session = broker.post(
            "sessions",
            json={
                "kind": "batch",
                "argv": ["sleep", "60"],
                "name": "secretive",
                "env": {"JUPYTERHUB_API_TOKEN": "f00dfeedf00dfeed"},
            },
        ).json()
        wait_for(lambda: broker.get(f"sessions/{session['id']}").json()["state"] == "ready")
        lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
        assert not any("f00dfeed" in line for line in lines)
        broker.delete(f"sessions/{session['id']}")
        wait_for(lambda: broker.get(f"sessions/{session['id']}").json()["state"] == "charged")
    with_it = [
        path
        for path in demo.home.rglob("*")
        if path.is_file() and path.suffix != ".sqlite-wal" and b"f00dfeed" in path.read_bytes()
    ]
    assert not with_it or all(path.name.startswith("broker.sqlite") for path in with_it)


def test_ctrl_c_leaves_no_process_and_the_next_demo_finds_everything(short_path: Path) -> None:
    first = start(short_path)
    wait_for(lambda: all(centre["state"] == "up" for centre in first.operator.centres()))
    with first.as_hub("ada") as broker:
        session = broker.post("sessions", json={"kind": "batch", "argv": ["sleep", "600"], "name": "long"}).json()
        # over 2 s: accounting counts seconds
        wait_for(lambda: broker.get(f"sessions/{session['id']}").json()["in_flight"] > 0.0005)
    said = stop(first)
    assert "Stopped." in said and first.process.returncode == 0
    left = [
        p.info for p in psutil.process_iter(["pid", "cmdline"]) if str(short_path) in " ".join(p.info["cmdline"] or ())
    ]
    assert not left
    second = start(short_path)
    try:
        assert not second.passwords, "passwords are shown once"
        ended = wait_for(lambda: (one := second.operator.session(session["id"]))["state"] == "charged" and one)
        assert ended["charged"] > 0
    finally:
        stop(second)


def test_a_second_demo_on_the_same_state_is_refused_and_leaves_the_first_alone(demo: Running) -> None:
    done = subprocess.run(
        [SCNET, "demo", "--home", str(demo.home)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1 and "running already" in done.stderr and demo.url in done.stderr
    assert demo.operator.call("GET", "health")["ok"]


def test_a_placement_says_beforehand_that_a_start_would_be_refused(demo: Running) -> None:
    with demo.as_hub("grace") as broker:
        fits = broker.post("placements", json={"project": "materials", "cores": 8}).json()
        over = broker.post("placements", json={"project": "materials", "cores": 9}).json()
    assert fits["refusal"] is None and over["best"] and over["refusal"]["code"] == "over-quota"
