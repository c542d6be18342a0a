"""A small federation for the tests of commands: a broker of canned answers in the form of docs/reference/rest.md."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
from click.testing import CliRunner, Result

from scnet_hub.cli import cli
from scnet_hub.cli.app import App
from scnet_hub.client import Client

Json = dict[str, Any]
URL = "http://127.0.0.1:8000/services/scnet/api/v1"


def partition(**changes: Any) -> Json:
    usual: Json = {
        "name": "cpu",
        "cores": 16,
        "cores_free": 12,
        "gpus": 0,
        "gpus_free": 0,
        "gpu_model": "",
        "running_jobs": 1,
    }
    usual |= {"queued_jobs": 0, "queued_cores": 0, "max_walltime_s": 86400, "core_hour": 1.0, "gpu_hour": 0.0}
    return usual | changes


def centre(identifier: str, /, **changes: Any) -> Json:
    usual: Json = {
        "id": identifier,
        "name": identifier.title(),
        "organisation": "",
        "dialect": "slurm",
        "state": "up",
        "why": "",
        "age_s": 4.2,
    }
    usual |= {
        "taken_at": "2026-11-20T09:00:00.000Z",
        "cores": 16,
        "cores_free": 12,
        "gpus": 0,
        "gpus_free": 0,
        "running_jobs": 1,
    }
    return usual | {"queued_jobs": 0, "my_sessions": 0, "partitions": [partition(), partition(core_hour=2.5)]} | changes


def offer(name: str, **changes: Any) -> Json:
    usual: Json = {
        "centre": name,
        "centre_name": name.title(),
        "partition": "cpu",
        "wait": "now",
        "expected_start": "now",
    }
    usual |= {
        "expected_start_s": 1,
        "cores": 16,
        "cores_free": 12,
        "gpus": 0,
        "gpus_free": 0,
        "queued_jobs": 0,
        "age_s": None,
    }
    return usual | {"cost": 4.0, "cost_per_hour": 4.0, "available_after": 96.0, "reason": "would start now"} | changes


def session(**changes: Any) -> Json:
    usual: Json = {
        "id": "s-1",
        "kind": "lab",
        "name": "",
        "centre": "alpha",
        "centre_name": "Alpha",
        "partition": "cpu",
    }
    usual |= {
        "state": "ready",
        "live": True,
        "cores": 2,
        "gpus": 0,
        "expires_at": "2026-11-20T10:30:00.000Z",
        "charged": None,
    }
    usual |= {
        "in_flight": 0.5,
        "end_reason": "",
        "unknown_since": None,
        "unknown_why": "",
        "place_in_queue": 0,
        "reason": "",
    }
    return usual | changes


def balance(**changes: Any) -> Json:
    quota = {name: {"used": 1, "limit": 8} for name in ("sessions", "cores", "gpus")}
    usual: Json = {
        "id": "sea",
        "title": "Sea ice",
        "unit": "GRANT",
        "granted": 1000.0,
        "settled": 10.0,
        "in_flight": 0.05,
        "held": 3.95,
    }
    usual |= {
        "available": 986.0,
        "expired": 0.0,
        "ending": [],
        "quota": quota,
        "burn_rate": 12.5,
        "per_hour": 4.0,
        "waiting": 1,
    }
    times = {"settled": "2026-11-20T08:00:00.000Z", "in_flight": "2026-11-20T08:59:57.000Z"}
    return (
        usual
        | {
            "runs_out_at": "2027-02-07T00:00:00.000Z",
            "runs_out_now_at": "2026-11-30T09:00:00.000Z",
            "as_of": times,
            "last_days": [],
        }
        | changes
    )


def allocation(**changes: Any) -> Json:
    usual: Json = {
        "id": "a-1",
        "project": "sea",
        "unit": "GRANT",
        "amount": 500.0,
        "grantor": "",
        "centres": [],
        "words": "tides",
    }
    asked = {"begins_at": "2026-11-20T09:00:00.000Z", "ends_at": "2027-11-20T09:00:00.000Z", "asked_by": "ada"}
    return (
        usual
        | asked
        | {"state": "requested", "asked_at": "2026-11-20T09:00:00.000Z", "answer": "", "renews": ""}
        | changes
    )


def usage(by: str, *rows: Json, **changes: Any) -> Json:
    usual: Json = {
        "as_of": "2026-11-20T09:00:00.000Z",
        "zone": "Asia/Shanghai",
        "since": "2026-10-31T16:00:00.000Z",
        "until": None,
    }
    usual |= {
        "first_day": "2026-11-01",
        "last_day": "2026-11-20",
        "by": by,
        "project": "",
        "person": "ada",
        "unit": "GRANT",
    }
    sums = {name: round(sum(row[name] for row in rows), 6) for name in ("charged", "in_flight")}
    return usual | sums | {"sessions": len(rows), "rows": [*rows], "more": 0} | changes


ANSWERS: Json = {
    "GET health": {"ok": True, "version": "0.1.0", "centres": 2},
    "GET me": {"person": "ada", "roles": [], "projects": [{"id": "sea", "title": "Sea ice"}], "default_project": "sea"},
    "GET centres": {"as_of": "2026-11-20T09:00:04.000Z", "centres": [centre("alpha"), centre("beta")]},
    "POST placements": {
        "decided_at": "2026-11-20T09:00:04.000Z",
        "request": {"cores": 4},
        "reason": "Alpha, partition cpu: would start now.",
        "best": offer("alpha"),
        "ranked": [offer("alpha"), offer("beta", expected_start="behind 3 queued jobs", wait="later")],
        "refusals": [{"centre": "gamma", "partition": "cpu", "reason": "the centre is down"}],
    },
    "GET sessions": {"as_of": "2026-11-20T09:00:00.000Z", "sessions": [session()]},
    "DELETE sessions/s-1": session(state="stopping"),
    "GET orphans": {
        "as_of": "2026-11-20T09:00:00.000Z",
        "jobs": [
            {
                "centre": "alpha",
                "job_id": "7",
                "name": "scnet-aaaabbbbcccc",
                "state": "running",
                "since": "2026-11-20T08:59:00.000Z",
                "session": "aaaabbbbcccc",
                "rule": "it is being stopped",
            },
        ],
        "sessions": [
            {
                "id": "s-2",
                "number": 1,
                "person": "ben",
                "centre": "beta",
                "job_id": "9",
                "since": "2026-11-20T08:40:00.000Z",
                "why": "not listed",
                "settles_at": "2026-11-20T09:10:00.000Z",
            },
        ],
    },
    "POST sessions/s-1/write-off": session(state="charged", live=False, end_reason="Written off."),
    "GET sessions/s-1/log": {"log": "starting\nready\n"},
    "GET account-links": {"account_links": []},
    "GET tariffs": {"tariffs": []},
    "GET usage": usage(
        "day",
        {"day": "2026-11-19", "charged": 0, "in_flight": 0, "sessions": 0},
        {"day": "2026-11-20", "charged": 6.4, "in_flight": 0.5, "sessions": 2},
    ),
    "GET balances": {"as_of": "2026-11-20T09:00:00.000Z", "balances": [balance()]},
    "POST quotes": {
        "centre": "alpha",
        "centre_name": "Alpha",
        "partition": "cpu",
        "unit": "GRANT",
        "low": 0.08,
        "expected": 2.4,
        "max": 4.8,
        "why": {},
        "walltime_s": 3600,
        "starts_by": "2026-12-04T09:00:00.000Z",
        "available": 986.0,
        "after": 983.6,
        "after_max": 981.2,
        "sentences": ["At most 4.80 credits: the whole walltime.", "Probably 2.40 credits: half."],
    },
    "GET allocations": {"allocations": [allocation()]},
    "POST allocations": allocation(),
    "POST allocations/a-1/approve": allocation(state="active", grantor="federation", answer="enjoy"),
    "GET projects/sea": balance(
        kind="research",
        ending=["5.00 credits of spring end on 30 Nov 2026 16:00 UTC (in 7 days): credits not spent by then are lost."],
        members=[{"person": "ada", "role": "pi", "cap": None, "spent": 10.0, "held": 4.0}],
        lots=[
            {
                "name": "spring",
                "unit": "GRANT",
                "grantor": "ministry",
                "ends_at": "2026-11-30T16:00:00.000Z",
                "centres": ["alpha"],
            }
            | {"granted": 1000.0, "available": 986.0, "held": 4.0, "spent": 10.0, "expired": 0.0}
        ],
        allocations=[allocation()],
    ),
    "GET ledger/verify": {"ok": True, "entries": 1200, "sealed": 1200, "head": "ab" * 32, "found": 0, "problems": []},
    "GET hub": {"version": "6.1.1"},
}


class Broker:
    """Answers as told, keeps what it was asked; a problem document is (status, document), an Exception is raised."""

    def __init__(self, **changes: Any) -> None:
        self.answers = ANSWERS | {name.replace("_", " ", 1): answer for name, answer in changes.items()}
        self.asked: list[tuple[str, Json]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        name = "hub" if path.startswith("/hub/api") else path.removeprefix("/services/scnet/api/v1/")
        self.asked.append((f"{request.method} {name}", json.loads(request.content or b"{}") | dict(request.url.params)))
        answer = self.answers[f"{request.method} {name}"]
        if isinstance(answer, Exception):
            raise answer
        status, document = answer if isinstance(answer, tuple) else (200, answer)
        return (
            httpx.Response(status, text=document)
            if isinstance(document, str)
            else httpx.Response(status, json=document)
        )

    def connect(self) -> Client:
        return Client(URL, "secret", transport=httpx.MockTransport(self))


def run(*words: str, broker: Broker | None = None, connect: Callable[[], Client] | None = None) -> Result:
    return CliRunner().invoke(cli, words, obj=App(connect or (broker or Broker()).connect))
