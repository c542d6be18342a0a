"""Tells whether a node takes jobs, by Slurm's word for its state with all its suffixes and flags, from 20.11 to 25.11.

Sources: `node_state_string` and `node_state_string_complete` in src/common/slurm_protocol_defs.c of each release,
sinfo(1) NODE STATE CODES. There are two notations: one word with a mark ("mixed-", "idle~", sinfo's StateLong), and a
base with flags after plus signs ("IDLE+CLOUD+POWERED_DOWN", sinfo's StateComplete and scontrol). A word that is not
among them is unknown: neither up nor free.
"""

from __future__ import annotations

import re

# Nodes that take a new job, at once or when they have room; nodes that are powered down are booted for it.
WORKING = frozenset({"idle", "mixed", "allocated", "completing", "planned"})
# Nodes that don't, for any reason. "blocked" is held for a job alone on its block of the topology, "reserved" for a
# reservation.
RESTING = frozenset(
    {"down", "drained", "draining", "drain", "fail", "failing", "error", "future", "inval", "maint", "reserved",
    "blocked", "perfctrs",
     "reboot", "reboot_issued", "reboot_requested", "cancel_reboot", "power_down", "powered_down", "powering_down",
     "power_up", "powering_up", "cloud", "external", "dynamic_future", "dynamic_norm", "resume", "undrain", "unknown",
     "no_respond"}
)  # fmt: skip
# Flags after "+" that keep new jobs away, and those that don't. A node of IDLE+POWERED_DOWN is booted for its next job.
KEEPING_AWAY = frozenset(
    {"drain", "fail", "maintenance", "maint", "not_responding", "no_respond", "reboot_requested", "reboot_issued",
    "reserved", "blocked",
     "invalid_reg", "inval", "power_down", "powering_down", "future", "perfctrs", "external", "reboot"}
)  # fmt: skip
HARMLESS = frozenset(
    {
        "cloud",
        "completing",
        "planned",
        "powered_down",
        "powering_up",
        "power_up",
        "dynamic_norm",
        "dynamic_future",
        "resume",
    }
)
MARKS = "*~#!%$@^-+"
KEEPING_AWAY_MARKS = frozenset("*%!$@^")  # no answer, powering down (or about to), maintenance, reboot (or about to)


def takes_jobs(word: str) -> bool | None:
    """Returns whether a node of that state takes new jobs; None for an unknown state."""
    bare = word.strip().lower()
    head = bare.rstrip(MARKS)
    base, *flags = head.split("+")
    if not re.fullmatch(r"[a-z_]+", base) or base not in WORKING | RESTING or not set(flags) <= KEEPING_AWAY | HARMLESS:
        return None
    return (
        base in WORKING
        and not KEEPING_AWAY.intersection(flags)
        and not KEEPING_AWAY_MARKS.intersection(bare[len(head) :])
    )
