"""Tests the way to a centre: sshd, its network, its login node. A failed query changes nothing; a command that may have
run is looked for."""

from __future__ import annotations

from tests.system.demo.conftest import wait_for

from .centre import Broken
from .stories import at


@at("c")
def test_a_killed_sshd_keeps_the_session_and_says_that_the_connection_was_refused(centre: Broken) -> None:
    session = centre.ready("sshd")
    with centre.broken("sshd-kill"):
        centre.cut_lines("ada")
        assert "Gamma Data Centre has not reported" in str(centre.unknown(session)["warnings"])
        assert centre.why("Connection refused")  # the first failure may be of a command that the kill cut off
        assert [hop["name"] for hop in centre.centre("down")["hops"] if not hop["ok"]][:1] == ["login"]
        assert "Connection refused" in str(centre.refused())
    centre.known(session)
    centre.settled(session)


@at("c")
def test_a_hung_sshd_is_given_up_in_seconds(centre: Broken) -> None:
    session = centre.ready("banner")
    with centre.broken("sshd-hang"):
        centre.cut_lines("ada")
        centre.unknown(session, seconds=25)
        assert centre.why("a login did not end in time", "the login did not end")
        assert [hop["name"] for hop in centre.centre("down")["hops"] if not hop["ok"]][:1] == ["login"]
    centre.known(session)
    centre.settled(session)


@at("b")
def test_a_cut_of_some_seconds_is_no_outage(centre: Broken) -> None:
    """The connection and a submission on it live on."""
    session = centre.ready("short")
    with centre.broken("submit-hold"):
        submitting = centre.start("through")
        centre.held()
        with centre.broken("net-down"):
            centre.fault("submit-go")
            wait_for(lambda: centre.jobs(submitting))
    centre.state(submitting, "ready")
    assert "did not answer" not in centre.log(submitting) and "cannot report" not in centre.log(session)
    centre.settled(submitting)
    centre.settled(session)


@at("b")
def test_a_job_that_was_submitted_behind_a_cut_network_is_found_again(centre: Broken) -> None:
    """The answer never came; the job runs. A session there is kept for as long."""
    session = centre.ready("cut")
    with centre.broken("submit-hold"):
        submitting = centre.start("behind")
        centre.held()
        with centre.broken("net-down"):
            centre.fault("submit-go")
            wait_for(lambda: centre.jobs(submitting))
            waits = centre.until(submitting, lambda seen: "did not answer" in centre.log(seen))
            assert waits["live"] and waits["state"] == "intent" and waits["held"] > 0
            centre.unknown(session)
            assert "has not answered since" in str(centre.refused())
    centre.state(submitting, "ready", seconds=90)
    centre.known(session)
    assert (
        "Connection" in centre.log(submitting)
        or "cut off" in centre.log(submitting)
        or "did not answer" in centre.log(submitting)
    )
    centre.settled(submitting)
    centre.settled(session)


@at("b")
def test_a_submission_that_is_still_under_way_when_its_connection_dies_is_not_doubled(centre: Broken) -> None:
    """What was sent may run until its own time limit at the centre: a look for its name before then proves nothing."""
    with centre.broken("submit-hold"):
        session = centre.start("under-way")
        centre.held()
        centre.cut_lines("ada")
        centre.until(session, lambda seen: "did not answer" in centre.log(seen))
        # it ended, or another began
        wait_for(lambda: len(centre.at("pgrep", "-f", "^timeout -k 5 [0-9]+ sh -c .* sbatch ").split()) != 1, 30)
    centre.state(session, "ready", seconds=90)
    centre.settled(session)


@at("b")
def test_a_frozen_centre_keeps_its_sessions_and_goes_on(centre: Broken) -> None:
    """Login node, nodes and scheduler stand still with their connections open."""
    session = centre.ready("frozen")
    with centre.broken("freeze"):
        centre.unknown(session, seconds=30)
        centre.centre("down")
    centre.known(session)
    centre.settled(session)


@at("d")
def test_a_centre_that_is_dead_and_comes_back_empty_is_said_to_have_forgotten_the_session(centre: Broken) -> None:
    """Its job ids begin at 1 again. When it has said for `forget_after` that it knows nothing of a session, that is
    given up, unpaid."""
    session = centre.ready("buried")
    centre.fault("dead")
    try:
        centre.unknown(session)
        centre.centre("down")
    finally:
        centre.rise()
    centre.usable()
    fresh = centre.ready("fresh")
    forgotten = centre.until(session, lambda seen: "lists this job" in seen["unknown_why"])
    assert forgotten["live"] and forgotten["charged"] is None and forgotten["held"] + forgotten["in_flight"] > 0
    ended = centre.state(session, "charged", seconds=60)
    assert "knows nothing of this job any more: not charged" in ended["end_reason"]
    assert ended["charged"] == 0 and ended["held"] == 0 and not centre.entries(session, "charge")
    assert centre.seen(fresh)["state"] == "ready"
    centre.settled(fresh)
