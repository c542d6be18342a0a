"""Answers of a broker, as docs/reference/rest.md describes them: three centres, four sessions, one allocation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]
NOW = datetime(2026, 11, 23, 12, 0, 5, tzinfo=UTC)


def iso(seconds: float, now: datetime = NOW) -> str:
    """`now` plus so many seconds, as the broker writes it."""
    return (now + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def centre(**changes: Any) -> Json:
    part = {"name": "cpu", "cores": 64, "cores_free": 12, "gpus": 0, "gpus_free": 0, "core_hour": 0.8, "gpu_hour": 0.0}
    base = {
        "id": "alpha", "name": "Alpha", "organisation": "University of Alpha", "dialect": "slurm", "state": "up",
        "why": "", "taken_at": iso(-12), "age_s": 12, "cores": 64, "cores_free": 12, "gpus": 0, "gpus_free": 0,
        "running_jobs": 9, "queued_jobs": 3, "my_sessions": 1, "partitions": [part],
    }  # fmt: skip
    return base | changes


def session(now: datetime = NOW, **changes: Any) -> Json:
    base = {
        "id": "abc", "version": 3, "person": "ada", "project": "climate", "kind": "lab", "name": "", "state": "ready",
        "live": True, "centre": "alpha", "centre_name": "Alpha", "partition": "cpu", "job_id": "17", "node": "a-node-3",
        "host": "", "port": 0, "cores": 2, "memory": 0, "gpus": 0, "walltime_s": 3600, "place_in_queue": 0,
        "reason": "", "why": "starts now", "unknown_since": None, "unknown_why": "", "end_reason": "",
        "created_at": iso(-900, now), "submitted_at": iso(-899, now), "started_at": iso(-890, now),
        "ready_at": iso(-880, now), "ended_at": None, "expires_at": iso(2710, now), "held": 1.2, "in_flight": 0.4,
        "per_hour": 1.6, "charged": None, "events": [],
    }  # fmt: skip
    return base | changes


def balance(**changes: Any) -> Json:
    base = {
        "id": "climate", "title": "Monsoon ensembles", "unit": "GRANT", "granted": 1000.0, "settled": 412.5,
        "in_flight": 36.4, "held": 88.1, "available": 463.0,
        "quota": {"sessions": {"used": 3, "limit": 8}, "cores": {"used": 30, "limit": 32},
        "gpus": {"used": 4, "limit": 4}}, "burn_rate": 31.25, "per_hour": 9.1,
        "runs_out_at": "2026-12-08T04:00:00.000Z", "runs_out_now_at": "2026-11-25T14:30:00.000Z", "waiting": 0,
        "as_of": {"settled": iso(-1500), "in_flight": iso(-4)},
        "last_days": [{"day": f"2026-11-{day}", "charged": float(day % 5) * 8} for day in range(10, 24)],
    }  # fmt: skip
    return base | changes


def usage(**changes: Any) -> Json:
    base = {
        "as_of": iso(0), "zone": "Asia/Shanghai", "since": "2026-10-31T16:00:00Z", "until": iso(0),
        "first_day": "2026-11-01", "last_day": "2026-11-23", "by": "centre", "project": "", "person": "ada",
        "unit": "GRANT", "charged": 112.5, "in_flight": 36.4, "sessions": 19, "more": 0, "next": None,
        "rows": [{"centre": "alpha", "centre_name": "Alpha", "sessions": 17, "charged": 101.25, "in_flight": 0.4},
                 {"centre": "beta", "centre_name": "Beta", "sessions": 2, "charged": 11.25, "in_flight": 36.0}],
    }  # fmt: skip
    return base | changes


def centres(now: datetime = NOW) -> list[Json]:
    gpu = {
        "name": "gpu",
        "cores": 256,
        "cores_free": 180,
        "gpus": 16,
        "gpus_free": 5,
        "core_hour": 1.2,
        "gpu_hour": 6.5,
    }
    cpu = {
        "name": "cpu",
        "cores": 1024,
        "cores_free": 310,
        "gpus": 0,
        "gpus_free": 0,
        "core_hour": 0.65,
        "gpu_hour": 0.0,
    }
    return [
        centre(taken_at=iso(-12, now)),
        centre(id="beta", name="Beta", organisation="Beta Supercomputing", cores=1280, cores_free=490, gpus=16,
        gpus_free=5,
               queued_jobs=0, partitions=[cpu, gpu], taken_at=iso(-4, now)),
        centre(id="gamma", name="Gamma", organisation="Gamma Institute", state="down", queued_jobs=17, cores_free=0,
               why="No answer since 11:41 (connection refused). Its jobs run on.", taken_at=iso(-1145, now)),
    ]  # fmt: skip


def sessions(now: datetime = NOW) -> list[Json]:
    waiting = {"node": "", "started_at": None, "ready_at": None, "expires_at": None, "in_flight": 0.0, "per_hour": None}
    return [
        session(now),
        session(now, id="q1", kind="dask", name="dask-3f2a-1", state="queued", cores=4, reason="Resources",
        place_in_queue=3,
                created_at=iso(-40, now), **waiting),
        session(now, id="g1", kind="batch", name="train-unet", centre="beta", centre_name="Beta", state="ready",
        cores=16, gpus=4,
                node="b-gpu-01", expires_at=iso(80_000, now), in_flight=36.0, created_at=iso(-4000, now)),
        session(now, id="e1", kind="dask", name="dask-3f2a-0", state="charged", live=False,
        end_reason="Stopped on request.",
                ended_at=iso(-100, now), expires_at=None, in_flight=0.0, charged=1.0625, created_at=iso(-5000, now)),
    ]  # fmt: skip


def cluster(now: datetime = NOW, **changes: Any) -> Json:
    """The state of a Dask cluster's view: two centres, one job that works and two that wait."""
    waits = {
        "tone": "wait", "icon": "○", "word": "queued", "detail": "number 3 in the queue: waiting for free cores",
        "workers": "0 of 1", "cost": "0.00",
    }  # fmt: skip
    works = {"tone": "good", "icon": "●", "word": "working", "detail": "on a-node-1", "workers": "1 of 1"}
    base = {
        "name": "ocean", "why": "Alpha: 1 of 3 jobs would start now, the others in about 20 min.",
        "money": "1.60 credits an hour, 4.80 when all 3 jobs run. At this size the credits of Monsoon ensembles last "
        "until 25 Nov 14:30 UTC, if everything else that runs continues.",
        "dashboard": "/user/ada/proxy/8787/status", "notes": ["12:00:00 UTC  Scaled from 1 to 3 jobs in the view."],
        "centres": [
            {"id": "Alpha", "name": "Alpha", "asked": "2", "waiting": "1", "running": "1", "cost": "0.40",
             "why": "1 queued: number 3 in the queue: waiting for free cores"},
            {"id": "Beta", "name": "Beta", "asked": "1", "waiting": "1", "running": "0", "cost": "1.06",
             "why": "1 queued"},
        ],
        "jobs": [
            {"id": "ocean-0", "name": "ocean-0", "size": "4 cores", "centre": "Alpha", **works, "cost": "0.40"},
            {"id": "ocean-1", "name": "ocean-1", "size": "4 cores", "centre": "Alpha", **waits},
            {"id": "ocean-2", "name": "ocean-2", "size": "4 cores", "centre": "Beta", **waits, "detail": ""},
        ],
        "jobs_title": "Jobs", "controls": {"jobs": 3, "adaptive": None, "most": 1000, "acted": 0},
    }  # fmt: skip
    return {
        "cluster": base | changes, "summary": "1 of 3 jobs working, 2 queued · 1.46 of 20.00 credits so far",
        "problem": None, "closed": False, "moving": True, "now": iso(0, now),
    }  # fmt: skip
