"""Tests a federated Dask cluster on a fake broker that really starts the posted jobs: it computes, repairs itself and
leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from distributed import Client as DaskClient
from distributed.security import Security

from scnet_hub.client.clusters import dask
from scnet_hub.client.clusters.activity import has_work
from scnet_hub.client.clusters.worker import worker_env
from scnet_hub.errors import BadOption, CentreError, NoPlacement, OverQuota, Rejected, ScnetError
from tests.builders.fakes.broker import FakeBroker, until

REPO = Path(__file__).resolve().parents[3]
TICK = (0.2, 0.5)


@pytest.fixture
def broker() -> Iterator[FakeBroker]:
    with FakeBroker() as fake:
        yield fake


@pytest.fixture
def make(broker):
    """Makes clusters with a quick reconciler; closes what a test leaves open."""
    made = []

    def build(**options):
        made.append(dask(client=broker.client(), **{"tick": TICK, "job_cores": 1, **options}))
        return made[-1]

    yield build
    for cluster in made:
        cluster.close()


def notes(cluster) -> str:
    return "\n".join(words for _, words in cluster._submitter.notes)


def double(number: int) -> int:
    return number * 2


def test_it_computes_with_tls_on_two_jobs_and_leaves_nothing(broker, make):
    cluster = make(cores=3, job_cores=2)
    assert cluster.scheduler_address.startswith("tls://127.0.0.1:")
    with DaskClient(cluster) as client:
        client.wait_for_workers(2, timeout=60)
        assert sorted(worker["nthreads"] for worker in client.scheduler_info(n_workers=-1)["workers"].values()) == [
            1,
            2,
        ]
        assert client.submit(sum, client.map(double, range(50))).result(timeout=30) == 2450
    cluster.close()
    until(lambda: not broker.live() and not broker.alive(), 10)
    assert {one["end_reason"] for one in broker.sessions.values()} == {"Stopped on request."}


def test_what_is_posted_is_a_plain_python_and_no_secret_on_the_command_line(broker, make):
    broker.hold = True
    make(cores=4, job_cores=2, memory="4G", gpus=2, walltime="2h", project="climate")
    broker.wait(lambda: len(broker.sessions) == 2)
    first, second = broker.payloads.values()
    assert first["argv"][:3] == ["python", "-m", "distributed.cli.dask_worker"]
    assert {key: first[key] for key in ("kind", "cores", "gpus", "memory", "walltime", "project", "centre")} == {
        "kind": "dask", "cores": 2, "gpus": 1, "memory": str(2 * 2**30), "walltime": "7200s", "project": "climate",
        "centre": "alpha",
    }  # fmt: skip
    words = " ".join(first["argv"])
    assert "PRIVATE" not in words and "--tls-key" not in words
    for expected in (
        "--nthreads 2",
        "--no-nanny",
        "--memory-limit 2147483648B",
        "--lifetime 6900s",
        "--resources GPU=1",
    ):
        assert expected in words
    assert "PRIVATE KEY" in first["env"]["DASK_DISTRIBUTED__COMM__TLS__WORKER__KEY"]
    assert second["centre"] == "alpha" and second["name"] != first["name"]
    assert first["second_chance"] == second["second_chance"] == "yes"


def test_its_jobs_name_the_dashboard_for_the_hubs_page(broker, make, monkeypatch):
    broker.hold = True
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ada/gpu/")
    cluster = make(cores=1)
    (sent,) = broker.payloads.values()
    assert sent["dashboard"] == cluster.dashboard_link
    assert sent["dashboard"].startswith("/user/ada/gpu/proxy/") and sent["dashboard"].endswith("/status")


def test_all_jobs_are_placed_together_and_their_cost_is_told(broker, make):
    broker.hold = True
    cluster = make(cores=3)
    assert broker.calls.count(("POST", "cluster-placements")) == 1
    broker.wait(lambda: len(broker.sessions) == 3)
    assert {one["centre"] for one in broker.payloads.values()} == {"alpha"}
    said = cluster.explain()
    assert "3 of 3 jobs would start now." in said
    assert (
        "All 3 jobs cost at least 3.00, probably 6.00 and at most 9.00 credits; 12.00 are held when they start." in said
    )


def test_it_returns_at_once_and_shows_the_place_in_the_queue(broker, make):
    broker.hold = True
    cluster = make(cores=2)
    broker.wait(lambda: len(broker.sessions) == 2)
    until(lambda: all(row["detail"] == "number 1 in the queue: waiting for free cores" for row in cluster.job_rows), 10)
    assert "0 of 2 jobs working, 2 queued" in repr(cluster)


@pytest.mark.parametrize(
    "error", [OverQuota("Only 8 cores at once.", hint="Ask for at most 8."), NoPlacement("No centre has GPUs.")]
)
def test_a_refused_first_job_raises_the_brokers_words(broker, make, error):
    broker.refusals[""] = error
    with pytest.raises(type(error), match=str(error)) as caught:
        make(cores=16)
    assert caught.value.hint == error.hint
    assert broker.sessions == {}


def test_a_cluster_that_would_not_start_whole_is_refused_unless_it_adapts(broker, make):
    broker.hold = True
    broker.too_many = OverQuota("Project p may use 8 cores at once.", hint="At most 7 more cores would pass now.")
    with pytest.raises(OverQuota, match="may use 8 cores") as caught:
        make(cores=9)
    assert caught.value.hint == "At most 7 more cores would pass now." and broker.sessions == {}
    over = [{"what": "sessions", "would_pass": 7}, {"what": "cores", "would_pass": 7}]
    broker.too_many = OverQuota("12 sessions at once.", hint="At most 7 more sessions.", details={"over": over})
    with pytest.raises(OverQuota) as caught:
        make(cores=40, job_cores=4)
    assert caught.value.hint == "At most 1 job of 4 cores would pass now. At most 7 more sessions."
    make(cores=9, adaptive=True)
    broker.wait(lambda: len(broker.sessions) == 1)


def test_a_later_refusal_is_shown_and_the_others_go_on(broker, make):
    broker.hold = True
    cluster = make(cores=1)
    broker.refusals[""] = OverQuota("Only 1 core at once.", hint="Ask for at most 1.")
    cluster.scale(3)
    until(lambda: cluster.shown()["problem"], 10)
    assert "Only 1 core at once. Ask for at most 1." in cluster.explain()
    until(lambda: len(cluster.worker_spec) == 1, 10)
    assert len(broker.live()) == 1
    broker.refusals.clear()
    cluster.scale(2)
    broker.wait(lambda: len(broker.live()) == 2)
    assert cluster.shown()["problem"] is None


@pytest.mark.parametrize("error", [NoPlacement("Alpha is full."), Rejected("AssocMaxSubmitJobLimit")])
def test_a_centre_that_takes_no_more_is_left_for_another_in_words(broker, make, error):
    broker.hold = True
    cluster = make(cores=1)
    broker.refusals["alpha"] = error
    cluster.scale(3)
    broker.wait(lambda: len(broker.sessions) == 3)
    assert [one["centre"] for one in broker.sessions.values()] == ["alpha", "beta", "beta"]
    until(lambda: str(error) in notes(cluster) and "Beta" in notes(cluster), 10)


def test_a_pinned_centre_is_not_left(broker, make):
    broker.refusals["beta"] = NoPlacement("Beta is full.")
    with pytest.raises(NoPlacement, match="Beta is full"):
        make(cores=1, centre="beta")
    broker.refusals.clear()
    make(cores=1, centre="beta")
    assert "second_chance" not in next(iter(broker.payloads.values()))


def test_a_killed_job_is_replaced_and_the_computation_ends_right(broker, make):
    cluster = make(cores=2)
    with DaskClient(cluster) as client:
        client.wait_for_workers(2, timeout=60)
        futures = client.map(double, range(40))
        broker.kill("s0")
        broker.wait(lambda: len(broker.sessions) == 3)
        assert sum(client.gather(futures)) == 1560
        client.wait_for_workers(2, timeout=60)
    assert "was lost: The job failed (exit -9)." in notes(cluster)


def test_jobs_that_die_at_their_start_are_not_tried_for_ever(broker, make):
    cluster = make(cores=1, restarts=2, worker_args=["--nthreads", "many"])
    problem = until(lambda: cluster.shown()["problem"], 60)
    assert len(broker.sessions) == 3
    assert problem["title"].startswith("Starts failed 3 times in a row")
    assert "many" in problem["hint"]
    assert cluster.worker_spec == {}


def test_a_whole_round_of_failed_starts_is_tried_again_with_one_job(broker, make):
    cluster = make(cores=3, restarts=2, worker_args=["--nthreads", "many"])
    problem = until(lambda: cluster.shown()["problem"], 60)
    assert problem["title"].startswith("Starts failed 3 times in a row")
    assert len(broker.sessions) == 3 + 2
    with pytest.raises(ScnetError, match="Starts failed 3 times in a row"):
        cluster.wait_for_workers(1, timeout=30)
    cluster._job_options["worker_extra_args"] = cluster._job_options["worker_extra_args"][:-2]
    cluster.scale()
    cluster.wait_for_workers(3, timeout=60)


def test_jobs_lost_together_are_one_misfortune(broker, make):
    cluster = make(cores=4, restarts=1)
    with DaskClient(cluster) as client:
        client.wait_for_workers(4, timeout=60)
        for key in ("s0", "s1", "s2", "s3"):
            broker.kill(key)
        broker.wait(lambda: len(broker.sessions) == 8)
        client.wait_for_workers(4, timeout=60)
    assert cluster.shown()["problem"] is None


def test_a_restart_keeps_the_jobs_and_their_places(broker, make):
    cluster = make(cores=2, restarts=0)
    with DaskClient(cluster) as client:
        client.wait_for_workers(2, timeout=60)
        before = client.run(os.getpid)
        client.run(lambda: os.environ.update(MARK="set"))
        client.restart(timeout=60)
        assert client.run(os.environ.get, "MARK") == dict.fromkeys(client.run(os.getpid))
        assert sorted(client.run(os.getpid).values()) == sorted(before.values())  # the jobs' own processes
        assert client.submit(double, 21).result(timeout=30) == 42
    assert len(broker.sessions) == 2 and cluster.shown()["problem"] is None


def test_workers_import_modules_beside_the_notebook_and_read_its_files(broker, make, tmp_path, monkeypatch):
    (tmp_path / "beside_the_notebook.py").write_text("def read(name):\n    return open(name).read()\n")
    (tmp_path / "data.txt").write_text("42")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    import beside_the_notebook

    cluster = make(cores=1)
    with DaskClient(cluster) as client:
        assert client.submit(beside_the_notebook.read, "data.txt").result(timeout=60) == "42"


def test_a_folder_that_the_node_does_not_have_is_told_and_left(broker, make, tmp_path, monkeypatch):
    (folder := tmp_path / "gone").mkdir()
    monkeypatch.chdir(folder)
    broker.hold = True
    cluster = make(cores=1)
    folder.rmdir()
    assert worker_env(Security.temporary())["SCNET_FOLDER"] == ""  # this process has none any more
    monkeypatch.chdir(tmp_path)
    broker.run("s0")
    with DaskClient(cluster) as client:
        assert client.submit(double, 21).result(timeout=60) == 42
    assert "does not have the notebook's folder" in next(iter(cluster.logs().values()))


def test_scaling_down_loses_no_result(broker, make):
    cluster = make(cores=3)
    with DaskClient(cluster) as client:
        client.wait_for_workers(3, timeout=60)
        futures = client.map(double, range(60), pure=False)
        client.gather(futures)
        soon = (datetime.now(UTC) + timedelta(seconds=60)).isoformat()
        broker.update("s2", stops_at=soon, lease_end="Project climate has 0.00 credits left.")
        broker.wait(lambda: len(broker.live()) == 2)
        assert "ends: Credits run out. Project climate has 0.00 credits left." in notes(cluster)
        cluster.scale(1)
        broker.wait(lambda: len(broker.live()) == 1)
        until(lambda: len(client.scheduler_info(n_workers=-1)["workers"]) == 1, 20)
        before = client.submit(os.getpid).result(timeout=10)
        assert sum(client.gather(futures)) == 3540
        assert {future.status for future in futures} == {"finished"} and before


def test_a_job_whose_walltime_ends_is_relieved_before_and_no_result_is_lost(broker, make):
    cluster = make(cores=1, walltime="30m")
    with DaskClient(cluster) as client:
        client.wait_for_workers(1, timeout=60)
        futures = client.map(double, range(20), pure=False)
        client.gather(futures)
        held = {future.key for future in futures}
        broker.update("s0", expires_at=(datetime.now(UTC) + timedelta(minutes=4)).isoformat())
        broker.wait(lambda: broker.sessions.get("s1", {}).get("live") and not broker.sessions["s0"]["live"])
        assert {cluster.scheduler.tasks[key].state for key in held} == {"memory"}, notes(cluster)
        assert sum(client.gather(futures)) == 380
    assert f"The walltime of {cluster._prefix}-0 ends soon: {cluster._prefix}-1 will take its place." in notes(cluster)
    assert len(broker.sessions) == 2


def test_two_that_leave_one_after_the_other_lose_no_result(broker, make):
    cluster = make(cores=3)
    with DaskClient(cluster) as client:
        client.wait_for_workers(3, timeout=60)
        futures = client.map(os.urandom, [2**20] * 30, pure=False)
        client.gather(client.map(len, futures))
        names = list(cluster.worker_spec)
        for name in names[:2]:  # the second while the first is being retired
            del cluster.worker_spec[name]
            cluster.loop.add_callback(cluster._correct_state)
        broker.wait(lambda: len(broker.live()) == 1)
        assert {future.status for future in futures} == {"finished"}
        assert {cluster.scheduler.tasks[future.key].state for future in futures} == {"memory"}
        assert len(broker.sessions) == 3


def test_a_relief_does_not_count_as_a_further_job(broker, make):
    cluster = make(cores=2)
    with DaskClient(cluster) as client:
        client.wait_for_workers(2, timeout=60)
        broker.hold = True
        broker.update("s0", expires_at=(datetime.now(UTC) + timedelta(minutes=4)).isoformat())
        broker.wait(lambda: len(broker.sessions) == 3)
        until(lambda: len(cluster.worker_spec) == 3, 10)
        assert len(cluster.plan) == 2 == len(cluster.requested)
        cluster.scale(2)
        assert len(cluster.worker_spec) == 3
        cluster.scale(1)
        until(lambda: len(cluster.worker_spec) <= 2, 10)
        cluster.scale(0)
        assert cluster.worker_spec == {}


def test_a_session_whose_answer_was_lost_is_stopped_with_the_cluster(broker, make):
    broker.hold = True
    cluster = make(cores=1)
    broker.sessions["lost"] = broker.sessions["s0"] | {"id": "lost", "name": f"{cluster._prefix}-9"}
    cluster._submitter._unanswered.add(f"{cluster._prefix}-9")
    cluster.close()
    broker.wait(lambda: not broker.live())
    assert broker.sessions["lost"]["end_reason"] == "Stopped on request."


def test_scale_counts_cores_too(broker, make):
    broker.hold = True
    cluster = make(cores=4, job_cores=2)
    cluster.scale(cores=7)
    broker.wait(lambda: sum(one["cores"] for one in broker.live()) == 7)
    cluster.scale(cores=3)
    broker.wait(lambda: sum(one["cores"] for one in broker.live()) in (3, 4))
    with pytest.raises(BadOption, match="the memory of a job is not known"):
        cluster.scale(memory="4G")


def test_adaptive_grows_with_work_up_to_the_quota_and_shrinks_to_nothing(broker, make):
    broker.balances[0]["quota"]["cores"]["limit"] = 2
    cluster = make(cores=4, adaptive=True)
    cluster.adapt(minimum=0, maximum=10, interval="100ms", wait_count=2, target_duration="10ms")
    assert cluster._adaptive.maximum == 2
    with DaskClient(cluster) as client:
        futures = client.map(double, range(300), pure=False)
        broker.wait(lambda: len(broker.live()) == 2)
        client.gather(futures)
        del futures
        broker.wait(lambda: not broker.live())
    with pytest.raises(BadOption, match="not possible"):
        cluster.adapt(minimum=3)


def test_a_broker_that_goes_silent_costs_no_worker(broker, make):
    cluster = make(cores=1)
    with DaskClient(cluster) as client:
        client.wait_for_workers(1, timeout=60)
        broker.silent = True
        until(lambda: cluster.shown()["problem"], 10)
        assert client.submit(double, 21).result(timeout=10) == 42
        cluster.scale(2)
        until(lambda: any(row["word"] == "not submitted yet" for row in cluster.job_rows), 10)
        assert len(cluster.worker_spec) == 2
        broker.silent = False
        client.wait_for_workers(2, timeout=60)
        until(lambda: cluster.shown()["problem"] is None, 10)
    assert len(broker.sessions) == 2


def test_waiting_in_a_queue_is_not_idleness_but_doing_nothing_is(broker, make):
    broker.hold = True
    cluster = make(cores=1, idle_timeout=2)
    until(lambda: cluster.scheduler.idle_since, 10)
    held = cluster.scheduler.idle_since
    until(lambda: cluster.scheduler.idle_since > held + 2.5, 20)
    assert cluster.status.name == "running"
    broker.run("s0")
    until(lambda: cluster.status.name == "closed", 30)
    until(lambda: not broker.alive(), 10)
    assert "without work" in notes(cluster)


def test_it_shows_itself_as_a_view_a_snapshot_and_text(broker, make):
    broker.hold = True
    cluster = make(cores=1, name="<thesis>")
    data, _ = cluster._repr_mimebundle_()
    assert "&lt;thesis&gt;" in data["text/html"] and "<thesis>" not in data["text/html"]
    assert "Dask cluster <thesis>" in data["text/plain"] and "queued" in data["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in data
    cluster.close()
    until(lambda: cluster._view.state["closed"], 10)


def test_the_name_of_an_older_clusters_job_is_never_used_again(broker, make):
    broker.hold = True
    first, second = make(cores=1, name="thesis"), make(cores=1, name="thesis")
    assert len({one["name"] for one in broker.sessions.values()}) == 2
    first.close()
    assert len(broker.live()) == 1 and second.status.name == "running"


def test_importing_dask_jobqueue_leaves_ctrl_c_alone(make, broker):
    broker.hold = True
    before = signal.getsignal(signal.SIGINT)
    make(cores=1)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_python_that_exits_without_closing_leaves_no_session(broker):
    script = """
        import scnet_hub as scnet
        cluster = scnet.dask(cores=2, job_cores=1)
        cluster.get_client().wait_for_workers(2, timeout=60)
    """
    env = {**os.environ, **broker.environment(), "PYTHONPATH": str(REPO)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], env=env, capture_output=True, text=True, timeout=90
    )
    assert (done.returncode, done.stderr) == (0, "")
    until(lambda: not broker.live() and not broker.alive(), 20)


def test_a_killed_kernel_leaves_no_session_not_even_one_that_waits(broker):
    broker.hold = True
    script = """
        import os, signal
        import scnet_hub as scnet
        cluster = scnet.dask(cores=2, job_cores=1)
        while len(cluster._submitter.sessions) < 2:
            pass
        print(cluster._guard._process.pid, flush=True)
        if not os.fork():  # a child that holds the pipe open
            os.close(1); os.execvp("sleep", ["sleep", "20"])
        os.kill(os.getpid(), signal.SIGKILL)
    """
    env = {**os.environ, **broker.environment(), "PYTHONPATH": str(REPO)}
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], env=env, stdout=subprocess.PIPE, text=True
    ) as run:
        guard = Path("/proc") / run.stdout.readline().strip()
        assert run.wait(90) == -signal.SIGKILL and guard.exists()
        assert run.stdout.read() == ""  # the guard holds no pipe of its parent
        broker.wait(lambda: len(broker.sessions) == 2 and not broker.live())
        until(lambda: not guard.exists(), 30)


def test_jobs_end_with_the_session_in_which_their_cluster_was_made(broker, make, monkeypatch):
    broker.hold = True
    monkeypatch.setenv("SCNET_SESSION", "lab-of-ada")
    make(cores=2)
    broker.wait(lambda: len(broker.payloads) == 2)
    assert {one["ends_with"] for one in broker.payloads.values()} == {"lab-of-ada"}


def test_a_rejection_everywhere_is_a_failed_start_not_an_exception(broker, make):
    broker.hold = True
    cluster = make(cores=1, restarts=1)
    for place in ("", "alpha", "beta"):
        broker.refusals[place] = CentreError("sbatch: error: Batch job submission failed")
    cluster.scale(2)
    problem = until(lambda: cluster.shown()["problem"], 20)
    assert "Batch job submission failed" in problem["title"]
    assert len(broker.live()) == 1


def test_work_without_a_running_cell_is_told_to_the_session_and_kept_results_are_not(
    broker, make, tmp_path, monkeypatch
):
    monkeypatch.setenv("SCNET_ACTIVE", str(tmp_path))
    broker.hold = True
    cluster = make(cores=1, name="ocean")
    with DaskClient(cluster) as client:
        future = client.submit(double, 21)  # no worker yet: it waits
        mark = tmp_path / "ocean"
        until(mark.exists, 20)
        broker.hold = False
        broker.run(next(iter(broker.sessions)))
        assert future.result(timeout=60) == 42
        until(lambda: not has_work(cluster.scheduler), 20)
        os.utime(mark, (0, 0))
        asked = len(broker.calls)
        until(lambda: len(broker.calls) > asked + 2, 20)  # so many looks later
        assert mark.stat().st_mtime == 0
