"""Tests the words, order and shares that a panel makes of the broker's answers, and when a state has no news."""

from __future__ import annotations

from datetime import timedelta

from scnet_hub.client.panels.overview import state
from scnet_hub.client.panels.sessions import job_state
from scnet_hub.client.panels.state import facts, with_problem, with_refusal
from scnet_hub.errors import BrokerError

from . import samples as s


def shown(**parts):
    return state(parts.get("centres", []), parts.get("sessions", []), parts.get("balance", []), parts.get("now", s.NOW))


def test_summary_counts_what_is_up_waiting_and_available():
    words = shown(centres=s.centres(), sessions=s.sessions(), balance=[s.balance()])["summary"]
    assert words == "2 of 3 centres up · 3 sessions, 1 waiting · 463.00 credits available"


def test_centre_says_its_state_by_word_and_icon_and_its_prices_as_a_range():
    rows = {row["id"]: row for row in shown(centres=s.centres())["centres"]}
    assert (rows["gamma"]["word"], rows["gamma"]["icon"], rows["gamma"]["tone"]) == ("down", "■", "bad")
    assert rows["gamma"]["why"].startswith("No answer since 11:41")
    assert (rows["beta"]["price"], rows["beta"]["gpu_price"]) == ("0.65–1.20", "6.50")
    assert rows["alpha"]["price"] == "0.80"


def test_a_centre_where_the_caller_has_no_account_says_so():
    kinds = [("certificate", ""), ("service", ""), ("certificate", "u1"), ("shared", "")]
    rows = shown(centres=[s.centre(identity=mode, account=account) for mode, account in kinds])["centres"]
    assert [row["account"] for row in rows] == ["no account linked", "no account linked", "", ""]
    assert shown(centres=[s.centre()])["centres"][0]["account"] == ""


def test_a_state_of_a_newer_broker_is_unknown_not_an_error():
    assert shown(centres=[s.centre(state="resting")])["centres"][0]["word"] == "unknown"
    assert shown(sessions=[s.session(state="paused")])["sessions"][0]["word"] == "unknown"


def test_queued_session_says_its_place_and_the_reason_in_words():
    row = shown(sessions=[s.session(state="queued", reason="Resources", place_in_queue=3)])["sessions"][0]
    assert (row["word"], row["detail"]) == ("queued", "number 3 in the queue: waiting for free cores")


def test_a_reason_without_words_of_ours_is_shown_as_it_came():
    row = shown(sessions=[s.session(state="queued", reason="BurstBufferResources")])["sessions"][0]
    assert row["detail"] == "BurstBufferResources"


def test_unknown_is_a_mark_on_a_session_that_is_kept():
    row = shown(sessions=[s.session(unknown_since=s.iso(-60), unknown_why="timed out")])["sessions"][0]
    assert (row["word"], row["stoppable"]) == ("unknown", True)
    assert "kept" in row["detail"]


def test_ended_sessions_stay_in_sight_for_ten_minutes_after_the_live_ones():
    ended = {"state": "charged", "live": False, "charged": 0.5}
    rows = shown(
        sessions=[
            s.session(id="late", ended_at=s.iso(-300), **ended),
            s.session(id="old", ended_at=s.iso(-3000), **ended),
            s.session(id="on"),
        ]
    )["sessions"]
    assert [row["id"] for row in rows] == ["on", "late"]
    assert (rows[1]["cost"], rows[1]["charged"], rows[1]["stoppable"]) == ("0.50", True, False)


def test_allocation_shares_and_full_quotas():
    row = shown(balance=[s.balance()])["balances"][0]
    assert [one["share"] for one in row["money"]] == [0.4125, 0.0364, 0.0881, 0.463]
    assert [(one["text"], one["tone"]) for one in row["quotas"]] == [
        ("3 of 8 sessions", "good"),
        ("30 of 32 cores", "warn"),
        ("4 of 4 GPUs", "bad"),
    ]


def test_a_project_without_a_grant_or_limits_divides_by_nothing():
    row = shown(balance=[s.balance(granted=0, available=-3.0, quota={"gpus": {"used": 0, "limit": 0}})])["balances"][0]
    assert [one["share"] for one in row["money"]] == [0, 0, 0, 0]
    assert row["quotas"] == []


def test_the_same_facts_later_are_the_same_facts():
    first, later = (
        shown(centres=s.centres(), sessions=s.sessions(), now=s.NOW + timedelta(seconds=wait)) for wait in (0, 3)
    )
    assert first != later
    assert facts(first) == facts(later)


def test_moving_while_something_waits():
    assert shown(sessions=[s.session(state="starting")])["moving"]
    assert not shown(sessions=[s.session()])["moving"]


def test_a_problem_keeps_what_was_known():
    kept = with_problem(shown(centres=s.centres()), BrokerError("No answer.", hint="Try again."))
    assert kept["problem"] == {"title": "No answer.", "hint": "Try again.", "stale": True}
    assert len(kept["centres"]) == 3


def test_a_refusal_leaves_the_facts_as_true_as_they_were():
    assert with_refusal(shown(), BrokerError("No.", hint="Ask."))["problem"] == {"title": "No.", "hint": "Ask."}


def test_one_job_is_shown_whenever_it_ended_and_summed_up_in_words():
    ended = s.session(
        name="train", state="charged", live=False, charged=0.5, ended_at=s.iso(-9000), end_reason="Stopped on request."
    )
    assert job_state(ended, s.NOW)["summary"] == "train at Alpha: stopped"
    assert (
        job_state(s.session(name="train", state="queued", centre="", centre_name=""), s.NOW)["summary"]
        == "train: queued"
    )


def test_an_allocation_says_how_fast_it_goes_and_how_old_its_numbers_are():
    row = shown(balance=[s.balance()])["balances"][0]
    assert row["pace"] == (
        "31.25 credits a day over the last week; credits run out on 2026-12-08 at this rate. Now 9.10 an hour, which "
        "lasts until 25 Nov 14:30 UTC"
        " if all running sessions continue."
    )
    assert [one["at"] for one in row["money"]] == [s.iso(-1500), s.iso(-4), None, None]
    assert row["chart"].startswith("<svg") and "23 Nov: 24" in row["chart"]


def test_what_is_not_in_flight_has_no_age_that_changes_at_each_look():
    calm, later = (
        shown(balance=[s.balance(in_flight=0.0, as_of={"settled": None, "in_flight": s.iso(wait)})])["balances"]
        for wait in (0, 3)
    )
    assert calm == later


def test_a_broker_that_does_not_tell_the_pace_is_shown_without_it():
    old = {
        name: value
        for name, value in s.balance().items()
        if name not in ("burn_rate", "as_of", "last_days", "per_hour", "runs_out_at")
    }
    row = shown(balance=[old])["balances"][0]
    assert (row["pace"], row["chart"], row["money"][0]["at"]) == ("", "", None)
