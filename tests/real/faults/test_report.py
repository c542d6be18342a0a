"""The report: counts what was struck, started, charged and violated, and shows it as a table."""

from __future__ import annotations

from dataclasses import replace

from .checker import INVARIANTS, check
from .evidence import Answer, Broken
from .report import markdown, report
from .test_checker import GOOD, ID

LINES = [
    {"at": 1000, "op": "start", "seat": "batch-1", "round": 1, "centre": "a"},
    {"at": 1000, "op": "accepted", "seat": "batch-1", "round": 1, "session": ID},
    {"at": 1005, "op": "ready", "seat": "batch-1", "session": ID, "seconds": 5.0},
    {"at": 1010, "op": "used", "ok": True},
    {"at": 1020, "op": "used", "ok": False},
]
BROKEN = (
    Broken(name="net-down", target="b", began=1001, ended=1031),
    Broken(name="net-down", target="c", began=1200, ended=1210),
    Broken(name="node-cut", target="a", at="a1", began=1090, ended=1110),
)
SEEN = replace(GOOD, broken=BROKEN, answers=(Answer(session=ID, ok=True),))


def test_a_report_counts() -> None:
    told = report(7, 5, LINES, SEEN, check(SEEN))
    assert told["faults"] == {"net-down": {"times": 2, "seconds": 40}, "node-cut": {"times": 1, "seconds": 20}}
    assert (
        told["starts"] == {"accepted": 1}
        and told["became_ready"] == told["jobs"] == told["charges"] == told["most_live"] == 1
    )
    assert told["charged"] == 0.027 and told["answered_at_the_end"] == "1 of 1" and told["lab_checks"] == "1 of 2"
    assert told["click_to_ready_s"] == {"slurm, 1 other centres broken": {"median": 5.0, "of": 1}}
    assert told["violations"] == []


def test_what_ended_with_its_node_is_counted_apart() -> None:
    unasked = replace(SEEN, stops={})
    assert check(unasked) == [] and report(7, 5, LINES, unasked, [])["ended_with_their_node_or_centre"] == 1


def test_the_table_names_every_invariant_with_its_count() -> None:
    lost = replace(SEEN, stops={}, broken=())
    table = markdown(report(7, 5, LINES, lost, check(lost)))
    assert "| **violations: nothing lost** | 1 |" in table
    assert all(f"| **violations: {name}** | " in table for name in INVARIANTS)
