"""Tests a cluster's decisions without a cluster: sizes, what to do about a job, when to stop trying, addresses,
words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from scnet_hub.client.clusters import summary
from scnet_hub.client.clusters.network import dashboard_link, dashboard_path, listening_host, own_centre
from scnet_hub.client.clusters.repair import SETTLED, Action, Budget, Facts, relief_due, verdict
from scnet_hub.client.clusters.sizes import Size, split, surplus
from scnet_hub.client.clusters.submitter import Submitter
from scnet_hub.client.clusters.worker import retires_before
from scnet_hub.errors import BadOption
from tests.unit.client.panels import samples as s

GIB = 2**30


@pytest.mark.parametrize(
    ("asked", "jobs"),
    [
        ({"cores": 8}, [4, 4]),
        ({"cores": 6}, [3, 3]),
        ({"cores": 5}, [3, 2]),
        ({"cores": 1}, [1]),
        ({"cores": 5, "most": 1}, [1] * 5),
        ({"cores": 9, "most": 64}, [9]),
    ],
)
def test_cores_become_even_jobs_that_add_up(asked, jobs):
    assert [size.cores for size in split(**asked)] == jobs


def test_memory_is_shared_by_cores_and_each_gpu_gets_a_job():
    assert split(5, "10G") == [Size(3, 6 * GIB), Size(2, 4 * GIB)]
    assert split(8, gpus=2) == [Size(4, 0, 1), Size(4, 0, 1)]
    assert split(1, gpus=3) == [Size(1, 0, 1)] * 3


@pytest.mark.parametrize(
    "asked", [{"cores": 0}, {"cores": 2.5}, {"cores": True}, {"cores": 1, "gpus": -1}, {"cores": 1, "most": 0}]
)
def test_sizes_that_are_none_are_refused_in_words(asked):
    with pytest.raises(BadOption, match="is not a whole number"):
        split(**asked)


def test_jobs_that_wait_go_first_then_the_newest():
    jobs = [("a", 2, True), ("b", 2, False), ("c", 2, True), ("d", 2, False)]
    assert surplus(jobs, 6) == ["d"]
    assert surplus(jobs, 4) == ["d", "b"]
    assert surplus(jobs, 2) == ["d", "b", "c"]
    assert surplus(jobs, 3) == ["d", "b"]
    assert surplus(jobs, 99) == []
    assert surplus(jobs, 0) == ["d", "b", "c", "a"]


@pytest.mark.parametrize(
    ("facts", "action"),
    [
        (Facts(live=None), Action.KEEP),  # not submitted yet
        (Facts(live=True), Action.KEEP),  # in a queue, for however long
        (Facts(live=True, connected=True), Action.KEEP),
        (Facts(live=False, connected=True), Action.KEEP),  # its worker works: whatever the broker says
        (Facts(live=True, away=3), Action.KEEP),  # a hiccup of the network
        (Facts(live=True, away=60), Action.REPLACE),
        (Facts(live=False, end_reason="Time limit."), Action.REPLACE),
        (Facts(live=None, failed="the centre said no"), Action.REPLACE),
        (Facts(live=None, refused="over quota"), Action.DROP),
        (
            Facts(live=True, connected=True, unpaid="credits run out"),
            Action.RETIRE,
        ),  # results go to the others while there is time
        (Facts(live=True, unpaid="credits run out"), Action.DROP),
        (Facts(live=False, end_reason="Stopped because credits ran out.", unpaid="so it was"), Action.DROP),
    ],
)
def test_what_to_do_about_a_job(facts, action):
    assert verdict(facts)[0] is action
    assert bool(verdict(facts)[1]) == (action is not Action.KEEP)


def test_a_job_is_unpaid_shortly_before_it_is_stopped_for_that_and_after():
    now = datetime(2026, 11, 23, 9, tzinfo=UTC)
    submitter = Submitter(None, walltime_s=60)
    why = "Project p has 0.00 credits left."
    for stops_at, said in (
        (None, ""),
        ("2026-11-23T09:02:00Z", ""),
        ("2026-11-23T09:01:00Z", f"Credits run out. {why}"),
    ):
        submitter.sessions["s"] = {"live": True, "stops_at": stops_at, "lease_end": why}
        assert submitter.unpaid("s", now) == said
    submitter.sessions["s"] = {"live": False, "end_reason": f"Stopped because credits ran out. {why}"}
    assert submitter.unpaid("s", now) == f"Stopped because credits ran out. {why}"
    submitter.sessions["s"] = {"live": False, "end_reason": "Stopped on request."}
    assert submitter.unpaid("s", now) == submitter.unpaid("unknown", now) == ""


def test_budget_counts_failed_starts_in_a_row_and_forgives_work():
    budget = Budget(2)
    assert [budget.count(worked=0, requested_at=at, now=at + 5) for at in (0, 10)] == [True, True]
    assert budget.count(worked=SETTLED, requested_at=0, now=100)
    assert [budget.count(worked=1, requested_at=at, now=at + 5) for at in (100, 110, 120)] == [True, True, False]
    budget.reset()
    assert not budget.spent


@pytest.mark.parametrize(
    ("left", "walltime", "wait", "due"),
    [
        (3000, 3600, 0, False),
        (700, 3600, 0, False),
        (650, 3600, 0, True),  # it retires some 5 min before the end, and its relief needs a minute to connect
        (1150, 3600, 500, True),
        (1250, 3600, 9000, False),  # a queue of hours: not in the first two thirds
        (15, 60, 0, True),
        (25, 60, 0, False),
    ],
)
def test_relief_is_asked_for_in_time(left, walltime, wait, due):
    assert relief_due(left, walltime, retires_before(timedelta(seconds=walltime)), wait) is due


def test_what_is_lost_together_is_one_misfortune():
    budget = Budget(1)
    assert all(budget.count(worked=20, requested_at=0, now=20 + late) for late in range(5))  # a node with five jobs
    assert budget.rounds == 1
    assert not budget.count(worked=0, requested_at=30, now=40)


def test_the_scheduler_listens_where_this_session_does():
    assert listening_host({}) == "127.0.0.1"
    assert listening_host({"JUPYTERHUB_SERVICE_URL": "http://10.1.2.3:4567/user/ada/"}) == "10.1.2.3"
    assert listening_host({"JUPYTERHUB_SERVICE_URL": "http://10.1.2.3:4567/", "SCNET_HOST": "node7"}) == "node7"
    assert listening_host({"JUPYTERHUB_SERVICE_URL": "http://0.0.0.0:4567/"}) not in ("", "0.0.0.0", "127.0.0.1")


def test_workers_go_where_they_reach_the_scheduler() -> None:
    assert own_centre("10.1.2.3", {"SCNET_CENTRE": "b"}) == "b"
    assert own_centre("127.0.0.1", {"SCNET_CENTRE": "b"}) == ""
    assert own_centre("10.1.2.3", {}) == ""


def test_the_dashboard_goes_through_the_hub():
    prefix = {"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}
    assert dashboard_link(8787, {}) == "http://127.0.0.1:8787/status"
    assert dashboard_link(8787, prefix) == dashboard_path(8787, prefix) == "/user/ada/proxy/8787/status"
    assert dashboard_path(8787, {}) == ""
    public = prefix | {"JUPYTERHUB_PUBLIC_URL": "https://hub.example/user/ada/"}
    assert dashboard_link(8787, public) == "https://hub.example/user/ada/proxy/8787/status"
    assert dashboard_link(8787, prefix | {"JUPYTERHUB_HOST": "https://ada.hub.example"}).startswith(
        "https://ada.hub.example/user/"
    )


def test_a_job_that_runs_without_its_worker_is_starting_it():
    row = summary.job_row("d-0", s.session(state="ready"), Size(4), connected=False)
    assert (row["word"], row["workers"]) == ("starting its worker", "0 of 1")
    assert summary.job_row("d-0", {}, Size(4), connected=False, waiting="no answer")["word"] == "not submitted yet"


def test_the_brokers_own_words_for_a_place_are_not_said_twice():
    why = "Alpha, partition main: would start now. Runner-up: Beta."
    first = s.session(why=why, placement={"ranked": [{}, {"centre": "beta", "partition": "cpu"}]})
    assert summary.explain("d", [], {}, first, [], "").splitlines()[1:] == [why]


def test_explain_tells_the_choice_the_runner_up_and_the_refusals():
    offer = {
        "centre": "beta",
        "centre_name": "Beta",
        "partition": "cpu",
        "expected_start": "behind 3 queued jobs",
        "cost": 3.2,
    }
    refusals = [{"centre": "gamma", "partition": "gpu", "reason": "it is down."}]
    first = s.session(why="It starts now and costs least", placement={"ranked": [{}, offer], "refusals": refusals})
    text = summary.explain(
        "d", [], {}, first, [(datetime(2026, 11, 23, 12, 0, 5, tzinfo=UTC), "Something happened.")], ""
    )
    assert text.splitlines() == [
        "Dask cluster d: 0 jobs.",
        "At Alpha: It starts now and costs least.",
        "Runner-up: Beta, cpu (behind 3 queued jobs; 3.20 credits for the whole walltime).",
        "Not at gamma, gpu: it is down.",
        "12:00:05 UTC  Something happened.",
    ]


def test_a_centres_row_counts_what_waits_and_why_and_costs_add_up() -> None:
    queued = s.session(state="queued", node="", in_flight=0.0, reason="Resources")
    jobs = [
        summary.job_row("d-0", s.session(in_flight=0.4), Size(2), connected=True),
        summary.job_row("d-1", queued | {"place_in_queue": 7}, Size(2), connected=False),
        summary.job_row("d-2", queued | {"place_in_queue": 3}, Size(2), connected=False),
        summary.job_row("d-3", s.session(centre_name="Beta"), Size(2), connected=False),
        summary.job_row("d-4", {}, Size(2), connected=False, waiting="The broker does not answer."),
    ]
    ended = s.session(centre_name="Gamma", live=False, charged=1.0, in_flight=0.0)
    rows = summary.centre_rows(jobs, [s.session(in_flight=0.4), s.session(centre_name="Beta", in_flight=0.1), ended])
    assert [[row[key] for key in ("name", "asked", "waiting", "running", "cost", "why")] for row in rows] == [
        ["Alpha", "3", "2", "1", "0.40", "2 queued: number 3 in the queue: waiting for free cores"],
        ["Beta", "1", "1", "0", "0.10", "1 starting its worker: on a-node-3"],
        ["not placed yet", "1", "1", "0", "0.00", "1 not submitted yet: The broker does not answer."],
        ["Gamma", "0", "0", "0", "1.00", ""],
    ]


def test_the_summary_names_the_budget_and_a_long_list_says_how_many_jobs_there_are() -> None:
    assert summary.summary([], 4.2, closed=False, budget=20) == "0 of 0 jobs working · 4.20 of 20.00 credits so far"
    assert summary.summary([], 4.2, closed=True) == "Cluster closed · 4.20 credits so far"
    assert (summary.jobs_title(100), summary.jobs_title(1000)) == ("Jobs", "Jobs: the first 100 of 1,000")
