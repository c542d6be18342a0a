"""Tests accounting that is unavailable: nothing is charged by guess, and everything is charged once when accounting is
back."""

from __future__ import annotations

from .centre import Broken
from .stories import at


@at("a")
def test_without_slurmdbd_work_goes_on_and_the_charge_waits_for_the_record(centre: Broken) -> None:
    before = centre.ready("before")
    with centre.broken("dbd-kill"):
        meanwhile = centre.ready("meanwhile", "sleep", "3")
        centre.stop(before)
        for session in (before, meanwhile):
            ended = centre.state(session, "ended", "stopping")
            assert ended["charged"] is None and ended["held"] + ended["in_flight"] > 0
        centre.until(meanwhile, lambda seen: seen["state"] == "ended")
        assert centre.document()["state"] == "up"
        hop = centre.hop("accounting", ok=False)
        assert "database" in hop["why"]
    assert centre.state(before, "charged", seconds=90)["end_reason"] == "Stopped on request."
    assert centre.settled(meanwhile)["end_reason"] == "The program ended by itself."
    centre.settled(before)
