"""Makes the JSON documents of docs/reference/rest.md from the federation's data. One function per document; no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from ..adapters.db.queries.accounts import AccountRow
from ..adapters.db.queries.allocations import AllocationRow
from ..adapters.db.queries.projects import MemberRow, ProjectRow
from ..display.session_states import CHARGED
from ..domain.centres.health import Hop
from ..domain.centres.orphan import Orphan
from ..domain.centres.session_warnings import Notice
from ..domain.centres.state import CentreState
from ..domain.jobs import PartitionLoad
from ..domain.ledger.entries import Entry
from ..domain.ledger.lots import Lot
from ..domain.pricing import leases
from ..domain.sessions.lifecycle import walltime_end
from ..domain.sessions.records import TOKEN, BriefRow, Session, SessionCopy
from ..domain.standard.centre import Announcement, PartitionSpec
from ..units import MICRO, Amount
from .accounting.audit import Audit
from .accounting.books import Balance
from .projects.projects import Cap

Json = dict[str, Any]


def iso(at: datetime | None) -> str | None:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None


def number(amount: Amount | int) -> float:
    """Returns credits as a JSON number, exact to a micro-credit."""
    return round((amount if isinstance(amount, int) else amount.micros) / MICRO, 6)


def centre(known: CentreState, rows: Sequence[SessionCopy], account: str, now: datetime) -> Json:
    """Returns a centre. `account` is the caller's own there, "" if none is linked."""
    snapshot = known.snapshot
    loads = {name: load for name, load in snapshot.partitions.items()} if snapshot else {}
    partitions = [partition(spec, loads.get(spec.name)) for spec in known.spec.partition]
    totals = {
        key: sum(part[key] for part in partitions)
        for key in ("cores", "cores_free", "gpus", "gpus_free", "running_jobs", "queued_jobs")
    }
    return {
        "id": known.spec.id,
        "name": known.spec.name,
        "organisation": known.spec.organisation,
        "dialect": known.spec.dialect,
        "contact": known.spec.contact,
        "identity": known.spec.identity.mode,
        "account": account if known.spec.identity.mode != "shared" else "",
        "maintenance": [
            {"start": iso(one.start), "end": iso(one.end), "reason": one.reason}
            for one in known.spec.maintenance
            if one.end > now
        ],
        "announcements": [announcement(one, now) for one in known.spec.announced(now)],
        "state": known.state(now),
        "why": known.why(now),
        "hops": [hop(one, now) for one in known.health.listed()],
        "taken_at": iso(snapshot.taken_at) if snapshot else None,
        "age_s": round((now - snapshot.taken_at).total_seconds(), 1) if snapshot else None,
        **totals,
        "my_sessions": sum(row.copy.centre == known.spec.id for row in rows),
        "partitions": partitions,
    }


def announcement(one: Announcement, now: datetime) -> Json:
    """Returns an announcement; its `now` says whether it has begun."""
    times = {"start": iso(one.start), "end": iso(one.end), "now": one.start <= now}
    return {"message": one.message, **times, "blocks_starts": one.blocks_starts}


def hop(one: Hop, now: datetime) -> Json:
    """Returns one step of the way to a centre: since when it works or fails, and how old that news is."""
    age = round((now - one.seen_at).total_seconds(), 1)
    return {"name": one.name, "ok": one.ok, "since": iso(one.since), "age_s": age, "why": one.why}


def account_link(row: AccountRow) -> Json:
    """Returns a link of a person to an account at a centre, current or ended."""
    return {
        "person": row.person, "centre": row.centre, "account": row.account, "how": row.how, "linked_by": row.linked_by,
        "linked_at": iso(row.linked_at), "ended_by": row.ended_by, "ended_at": iso(row.ended_at),
    }  # fmt: skip


def partition(spec: PartitionSpec, load: PartitionLoad | None) -> Json:
    return {
        "name": spec.name,
        "cores": load.cores if load else spec.cores * spec.nodes,
        "cores_free": load.cores_free if load else 0,
        "gpus": load.gpus if load else spec.gpus * spec.nodes,
        "gpus_free": load.gpus_free if load else 0,
        "gpu_model": spec.gpu_model,
        "running_jobs": load.running_jobs if load else 0,
        "queued_jobs": load.queued_jobs if load else 0,
        "queued_cores": load.queued_cores if load else 0,
        "max_walltime_s": spec.max_walltime.total_seconds(),
        "core_hour": spec.tariff.core_hour,
        "gpu_hour": spec.gpu_price,
    }


def session(
    row: SessionCopy,
    known: CentreState | None,
    events: Sequence[tuple[datetime, str]] = (),
    in_flight: Amount = Amount(0),
    per_hour: Amount | None = None,
    *,
    warnings: Sequence[Notice] = (),
) -> Json:
    session, copy = row
    held = session.held if session.state != CHARGED else 0
    return {
        **{name: getattr(session, name) for name in _OF_SESSION},
        **{name: getattr(copy, name) for name in _OF_COPY},
        "lease_end": session.lease_end_reason,
        "centre_name": known.spec.name if known else copy.centre,
        "cores": session.request["cores"],
        "memory": session.request["memory"],
        "gpus": session.request["gpus"],
        "walltime_s": session.request["walltime_s"],
        "dashboard": session.request.get("dashboard", ""),
        **{name: iso(getattr(session, name)) for name in _TIMES_OF_SESSION},
        **{name: iso(getattr(copy, name)) for name in _TIMES_OF_COPY},
        "expires_at": iso(walltime_end(session, copy.started_at)),
        "stops_at": iso(leases.stops_at(session.leased_until, session.lease_end_reason)) if session.live else None,
        "held": number(max(0, held - in_flight.micros)),
        "in_flight": number(in_flight),
        "per_hour": None if per_hour is None else number(per_hour),
        "charged": None if session.charged is None else number(session.charged),
        "events": [{"at": iso(at), "message": message} for at, message in events],
        "warnings": [warning(one) for one in warnings],
    }


def brief(row: BriefRow, known: CentreState | None) -> Json:
    """Returns a live session for programs that compare thousands: without money, events and warnings."""
    return {
        "id": row.id, "version": row.version, "person": row.person, "project": row.project, "kind": row.kind,
        "name": row.name, "state": row.state, "live": row.live, "continues": row.continues, "centre": row.centre,
        "partition": row.partition, "centre_name": known.spec.name if known else row.centre, "node": row.node,
        "host": row.host, "port": row.port, "place_in_queue": row.place_in_queue, "reason": row.reason, "why": row.why,
        "end_reason": row.end_reason, "cores": row.request["cores"], "gpus": row.request["gpus"],
        "created_at": iso(row.created_at), "started_at": iso(row.started_at), "unknown_since": iso(row.unknown_since),
        "expires_at": iso(walltime_end(row, row.started_at)),
    }  # fmt: skip


def token(session: Session) -> str:
    """Returns the session's own token, which the hub gave it: a re-joined session keeps it, and the hub revokes it at
    the end."""
    return str(session.payload.get("env", {}).get(TOKEN, ""))


def warning(one: Notice) -> Json:
    return {"code": one.code, "message": one.message, "at": iso(one.at)}


def copy(row: SessionCopy, centre_name: str) -> Json:
    """Returns one of a session's jobs at the centres."""
    one = row.copy
    return {
        "number": one.number, "cause": one.cause, "leads": row.leads, "centre": one.centre, "centre_name": centre_name,
        "partition": one.partition, "state": one.state, "live": one.live, "job_id": one.job_id,
        "asked_at": iso(one.asked_at), "started_at": iso(one.started_at), "ended_at": iso(one.ended_at),
        "reason": one.reason, "place_in_queue": one.place_in_queue, "unknown_since": iso(one.unknown_since),
        "unknown_why": one.unknown_why, "end_reason": one.end_reason,
    }  # fmt: skip


def successor(row: SessionCopy, centre_name: str) -> Json:
    """Returns the session that continues another, as shown in the other's document."""
    one = row.session
    return {
        "id": one.id, "state": one.state, "live": one.live, "centre": row.copy.centre, "centre_name": centre_name,
        "end_reason": one.end_reason,
    }  # fmt: skip


def orphan(one: Orphan) -> Json:
    """Returns a job at a centre that no session has."""
    return {
        "centre": one.centre, "job_id": one.job_id, "name": one.name, "state": one.state, "since": iso(one.since),
        "session": one.session, "rule": one.rule,
    }  # fmt: skip


def forgotten(row: SessionCopy, known: CentreState) -> Json:
    """Returns a session whose centre answers without its job; `settles_at` is when the session will be written off."""
    one = row.copy
    assert one.forgotten_since is not None
    settles_at = one.forgotten_since + timedelta(seconds=known.spec.watch.forget_after)
    return {
        "id": one.session, "number": one.number, "person": row.session.person, "centre": one.centre,
        "job_id": one.job_id, "since": iso(one.forgotten_since), "why": one.unknown_why, "settles_at": iso(settles_at),
    }  # fmt: skip


_OF_SESSION = ("id", "version", "person", "project", "kind", "name", "state", "live", "continues", "why", "end_reason")
_OF_COPY = ("centre", "partition", "job_id", "node", "host", "port", "place_in_queue", "reason", "unknown_why")
_TIMES_OF_SESSION = ("created_at", "ready_at", "ended_at", "leased_until")
_TIMES_OF_COPY = ("unknown_since", "submitted_at", "started_at")


def balance(project: ProjectRow, money: Balance, in_flight: Amount, ending: Sequence[str] = ()) -> Json:
    return {
        "id": project.id,
        "title": project.title,
        "unit": money.granted.unit,
        "granted": number(money.granted),
        "settled": number(money.settled),
        "in_flight": number(in_flight),
        "held": number(money.on_hold - in_flight),
        "available": number(money.available),
        "expired": number(money.expired),
        "ending": [*ending],
    }


def own(cap: Cap, available: Amount) -> Json:
    """Returns the credits of a project that a capped member may spend: the rest of the cap, or of the project where
    that is less."""
    amounts = {name: number(getattr(cap, name)) for name in ("cap", "spent", "held")}
    return {**amounts, "available": number(max(Amount(0), min(cap.left, available)))}


def allocation(row: AllocationRow) -> Json:
    return {
        "id": row.id, "project": row.project, "unit": row.unit, "amount": number(row.micros), "grantor": row.grantor,
        "centres": [*row.centres], "begins_at": iso(row.begins_at), "ends_at": iso(row.ends_at), "state": row.state,
        "asked_by": row.asked_by, "asked_at": iso(row.asked_at), "words": row.words, "decided_by": row.decided_by,
        "decided_at": iso(row.decided_at), "answer": row.answer, "renews": row.renews,
    }  # fmt: skip


def lot(one: Lot) -> Json:
    amounts = {name: number(getattr(one, name)) for name in ("granted", "available", "held", "spent", "expired")}
    return {
        "name": one.name,
        "unit": one.unit,
        "grantor": one.grantor,
        "ends_at": iso(one.expires_at),
        "centres": [*one.centres],
        **amounts,
    }


def member(row: MemberRow, spent: int, held: int) -> Json:
    cap = None if row.cap is None else number(row.cap)
    return {"person": row.person, "role": row.role, "cap": cap, "spent": number(spent), "held": number(held)}


def other_member(row: MemberRow) -> Json:
    """Returns a member as another member sees them: only those who oversee the project see each member's spending."""
    return {"person": row.person, "role": row.role, "cap": None, "spent": None, "held": None}


def audit(found: Audit) -> Json:
    return {
        "ok": found.ok, "entries": found.entries, "sealed": found.sealed, "head": found.head, "found": found.found,
        "problems": [*found.problems],
    }  # fmt: skip


def entry(entry_id: int, one: Entry) -> Json:
    return {
        "id": entry_id,
        "at": iso(one.at),
        "kind": one.kind,
        "project": one.project,
        "session": one.session,
        "memo": one.memo,
        "postings": [{"account": posting.account, "amount": number(posting.amount)} for posting in one.postings],
    }
