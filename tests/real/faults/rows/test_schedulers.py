"""A scheduler that is gone, hangs, or forgets: sessions are kept, nothing is submitted twice, and a person reads
why."""

from __future__ import annotations

from tests.real.testbed.layout import CENTRES
from tests.system.demo.conftest import wait_for

from .centre import Broken, Json
from .stories import at

SAVED = "find /var/spool/slurm* /var/lib/slurm* -name job_state -newermt @{} 2>/dev/null | grep -q ."


@at("a")
def test_a_killed_slurmctld_keeps_sessions_and_a_wish_to_stop_one(centre: Broken) -> None:
    kept, stopped = centre.ready("kept"), centre.ready("stopped")
    saved(centre, kept)
    with centre.broken("ctl-kill"):
        for session in (kept, stopped):
            assert "Unable to contact slurm controller" in centre.unknown(session)["unknown_why"]
        down = centre.centre("down")
        assert "has not answered since" in down["why"] and "Unable to contact slurm controller" in down["why"]
        assert [hop["name"] for hop in down["hops"] if not hop["ok"]] == ["scheduler"]
        assert "has not answered since" in str(centre.refused())
        centre.stop(stopped)
        asked = centre.state(stopped, "stopping")
        assert asked["live"] and asked["held"] + asked["in_flight"] > 0
    centre.known(kept)
    assert centre.state(stopped, "charged", seconds=90)["end_reason"] == "Stopped on request."
    centre.usable()
    assert centre.settled(kept)["charged"] >= 0
    centre.settled(stopped)


@at("a")
def test_a_submission_that_timed_out_at_a_hung_slurmctld_is_found_again(centre: Broken) -> None:
    """sbatch fails after 5 s, and the job runs all the same once slurmctld goes on (testbed.md 4)."""
    with centre.broken("submit-hold"):
        session = centre.start("ghost")
        centre.held()
        centre.fault("ctl-hang")
        try:
            centre.fault("submit-go")
            waits = centre.until(session, lambda seen: "Socket timed out" in seen["reason"])
            assert waits["live"] and waits["state"] == "intent" and waits["held"] > 0
            assert "did not answer" in centre.log(session) and centre.why("Socket timed out")
        finally:
            centre.fault("ctl-unhang")
    centre.state(session, "ready")
    centre.settled(session)


@at("a")
def test_a_slurmctld_that_is_killed_as_a_job_starts_loses_no_session(centre: Broken) -> None:
    """The controller comes back with the job waiting again, its node drained, with the job failed, or without the job
    (testbed.md 4). The session is kept unless Slurm says that the job is over, ends when its person stops it or the
    centre's page says that it is forgotten, and is not charged by guess."""
    with centre.broken("submit-hold"):
        session = centre.start("early", "sleep", "3605")
        centre.held()
    wait_for(lambda: "RUNNING" in centre.at("squeue", "-h", "-o", "%T", f"--name=scnet-{session['id']}"))
    centre.fault("ctl-kill")
    centre.fault("ctl-start")
    heard = centre.centre("up", seconds=90)["taken_at"]
    kept = centre.until(session, lambda seen: seen["job_id"] and centre.document()["taken_at"] > heard)
    if kept["live"]:
        assert kept["held"] + kept["in_flight"] > 0 and kept["charged"] is None
        centre.stop(session)
    else:  # only where Slurm itself says so
        said = centre.at("scontrol", "show", "job", kept["job_id"])
        assert any(f"JobState={word}" in said for word in ("NODE_FAIL", "FAILED", "CANCELLED")), (said, kept["events"])
    ended = centre.state(session, "charged", seconds=120)
    assert len(centre.jobs(session)) <= 1 and len(centre.entries(session, "charge")) <= 1 and ended["held"] == 0
    for node in CENTRES["a"].nodes:
        centre.testbed.at("a", ["scontrol", "update", f"nodename={node}", "state=resume"])
    centre.testbed.at("a", ["pkill", "-fx", "sleep 3605"])  # what slurmctld has forgotten runs on
    centre.usable()


@at("b")
def test_a_killed_munge_is_given_up_in_time_and_keeps_the_session(centre: Broken) -> None:
    """Every Slurm command would hang for 49 s; the centre's admin mends it before the controller gives its nodes up."""
    session = centre.ready("munge")
    with centre.broken("munge-kill"):
        assert centre.unknown(session, seconds=30)["unknown_why"]
        assert centre.why("did not end within 15 s", "authentication", "Socket timed out")
        assert [hop["name"] for hop in centre.centre("down")["hops"] if not hop["ok"]][:1] == ["scheduler"]
    centre.known(session)
    centre.usable()
    centre.settled(session)


@at("c")
def test_a_killed_qmaster_keeps_sessions_and_refuses_starts_with_its_words(centre: Broken) -> None:
    session = centre.ready("qmaster")
    with centre.broken("ctl-kill"):
        assert "qmaster" in centre.unknown(session)["unknown_why"]
        assert centre.why("qmaster") and centre.centre("down")
        assert "has not answered since" in str(centre.refused())
    centre.known(session)
    centre.usable()
    centre.settled(session)


@at("c")
def test_a_hung_qmaster_is_given_up_in_time_and_a_submission_under_way_is_not_doubled(centre: Broken) -> None:
    """Its clients would hang for 122 to 184 s."""
    session = centre.ready("hung")
    with centre.broken("submit-hold"):
        submitting = centre.start("submitting")
        centre.held()
        centre.fault("ctl-hang")
        try:
            centre.fault("submit-go")
            waits = centre.until(submitting, lambda seen: seen["reason"])
            assert waits["live"] and waits["state"] == "intent" and "did not end within" in waits["reason"]
            why = centre.unknown(session)["unknown_why"]
            assert "did not end within 15 s and was stopped there" in why
            assert [hop["name"] for hop in centre.centre("down")["hops"] if not hop["ok"]][:1] == ["scheduler"]
        finally:
            centre.fault("ctl-unhang")
    centre.state(submitting, "ready", seconds=90)
    centre.known(session)
    centre.settled(submitting)
    centre.settled(session)


@at("d")
def test_an_oar_server_that_is_gone_takes_jobs_and_starts_them_when_it_is_back(centre: Broken) -> None:
    """Its clients notice nothing: no question fails, and nothing starts."""
    running = centre.ready("running")
    with centre.broken("ctl-kill"):
        waits = centre.until(centre.start("waiting"), lambda seen: seen["job_id"] and seen["state"] == "queued")
        assert waits["live"] and waits["place_in_queue"] >= 1 and "in the queue" in centre.log(waits)
        assert centre.seen(running)["unknown_since"] is None and centre.document()["state"] == "up"
    centre.state(waits, "ready", seconds=60)
    centre.settled(waits)
    centre.settled(running)


@at("d")
def test_oar_without_its_database_keeps_sessions_and_a_submission_is_not_repeated_blindly(centre: Broken) -> None:
    """oarsub would try again for ever, as a user whom no timeout can end."""
    session = centre.ready("database")
    with centre.broken("submit-hold"):
        submitting = centre.start("submitting")
        centre.held()
        with centre.broken("db-kill"):
            centre.fault("submit-go")
            assert "OAR could not be asked" in centre.unknown(session)["unknown_why"]
            assert centre.why("OAR could not be asked") and centre.centre("down")
            assert "has not answered since" in str(centre.refused())
            waits = centre.until(submitting, lambda seen: seen["reason"])
            assert waits["live"] and waits["state"] == "intent"
    centre.known(session)
    centre.state(submitting, "ready", seconds=90)
    centre.settled(submitting)
    centre.settled(session)


def saved(centre: Broken, session: Json) -> None:
    """Until slurmctld has written its jobs down: killed before, it forgets that they started. It writes only what
    changed since the last time, so the job gets a word."""
    now = centre.at("date", "+%s.%N").strip()
    centre.testbed.at(centre.id, ["scontrol", "update", f"jobid={session['job_id']}", "comment=saved"])
    wait_for(lambda: centre.testbed.at(centre.id, ["sh", "-c", SAVED.format(now)]).returncode == 0, 30)
