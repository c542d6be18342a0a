"""Describes a session that is starting, and a session that ended before it was ready."""

from __future__ import annotations

from typing import Any

from ..display.session_states import WITHOUT_NODE, progress
from ..errors import ScnetError

Json = dict[str, Any]


def pending_facts(document: Json) -> Json:
    """Returns what the page of a starting session shows beside the log; extensions/hub/static/scnet-pending.js reads
    it."""
    best = (document.get("placement") or {}).get("best") or {}
    return {
        "progress": progress(document["state"]),
        "expected_start": best.get("expected_start", "") if document["state"] in WITHOUT_NODE else "",
        **{name: document[name] for name in ("centre_name", "place_in_queue", "reason", "why", "created_at")},
    }


def ended_before_ready(document: Json) -> ScnetError:
    error = ScnetError(document["end_reason"] or "The session was stopped.", code="ended")
    error.acts = "You; if the log's last lines don't explain it, the operators of its centre"
    return error
