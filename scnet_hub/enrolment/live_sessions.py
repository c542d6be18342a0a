"""Refuses to remove a centre with live sessions: asks the broker, with the operator's token of the state folder."""

from __future__ import annotations

import json
from pathlib import Path

from ..client.rest import Client
from ..errors import BrokerError, Refused


def refuse_while_lived_in(centre: str, home: Path, *, force: bool = False) -> None:
    """Raises Refused while live sessions are at that centre, or while the broker can't be asked (unless `force`)."""
    if not (home / "broker.json").exists():
        return  # no broker has ever run with this folder
    try:
        saved = json.loads((home / "client.json").read_text())
        with Client(saved["url"], saved["token"], timeout=10) as client:
            sessions = client.sessions()
    except (BrokerError, OSError, ValueError, KeyError) as error:
        if force:
            return
        raise Refused(
            f"The broker can't be asked whether sessions live at {centre} ({error}).",
            hint="Start the broker first. If you know that no session lives there, use --force.",
            code="broker-away",
        ) from error
    live = [session["id"] for session in sessions if session["centre"] == centre and session["live"]]
    if live:
        raise Refused(
            f"{len(live)} sessions live at {centre}: {', '.join(live[:5])}{' …' if len(live) > 5 else ''}.",
            hint="Wait until they end, or stop them: `scnet stop ID`. To drain a centre, add a [[maintenance]] to its "
            "page.",
            code="lived-in",
        )
