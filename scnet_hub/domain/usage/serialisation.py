"""Stores usage records and prices as JSON that reads back as the same, to the microsecond and the micro-unit.

A value that should be a number and is not is kept as text, so that suspense can show it. These documents are internal;
others get those of `cloud_events.py`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ..jobs import Ending
from ..months import ZONE
from ..pricing.tariffs import Sale, Tariff, Version
from .runs import Usage

Json = dict[str, Any]
MICROSECOND = timedelta(microseconds=1)
_PLAIN = (
    "centre",
    "birth",
    "job_id",
    "name",
    "session",
    "copy",
    "partition",
    "node",
    "ended_by",
    "state_raw",
    "exit_code",
)
_COUNTS = ("restart", "revision", "cores", "memory")
_TIMES = ("submitted_at", "start", "end", "seen_at")
_SPANS = ("elapsed", "cpu")


def usage_document(usage: Usage) -> Json:
    return {
        **{name: getattr(usage, name) for name in _PLAIN},
        **{name: _count(getattr(usage, name)) for name in _COUNTS},
        **{name: _moment(getattr(usage, name)) for name in _TIMES},
        **{name: getattr(usage, name) // MICROSECOND for name in _SPANS},
        "gpus": [[model, _count(count)] for model, count in usage.gpus],
        "ending": usage.ending.value if usage.ending else "",
    }


def usage_from(document: Json) -> Usage:
    return Usage(
        **{name: document[name] for name in (*_PLAIN, *_COUNTS)},
        **{name: _read(document[name]) for name in _TIMES},
        **{name: document[name] * MICROSECOND for name in _SPANS},
        gpus=tuple((model, count) for model, count in document["gpus"]),
        ending=Ending(document["ending"]) if document["ending"] else None,
    )


def usage_digest(usage: Usage, doubt: str = "") -> str:
    """Returns the digest of everything that a record reports, except when; `doubt` is the hub's own remark on it."""
    said = {name: value for name, value in usage_document(usage).items() if name != "seen_at"}
    return digest_of(said | {"doubt": doubt})


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms by which a session was first charged, and is charged for ever: the prices of its partition, the
    federation's `fee` of each charge in millionths, and the zone of its months."""

    tariff: Tariff
    fee: int = 0
    zone: str = ZONE


def terms_document(terms: Terms) -> Json:
    tariff = terms.tariff
    return {
        "versions": [
            {"prices": dict(sorted(one.prices.items())), "minimum": one.minimum,
            "since": _moment(one.since)} for one in tariff.versions
        ],
        "sales": [
            {
                "name": one.name, "opens": one.opens, "closes": one.closes, "off": one.off, "days": sorted(one.days),
                "first": one.first and one.first.isoformat(), "last": one.last and one.last.isoformat(),
            }
            for one in tariff.sales
        ],
        "zone": tariff.zone, "unit": tariff.unit, "place": tariff.place, "gpu_model": tariff.gpu_model,
        "fee": terms.fee, "months": terms.zone,
    }  # fmt: skip


def terms_from(document: Json) -> Terms:
    tariff = Tariff(
        versions=tuple(
            Version(prices=one["prices"], minimum=one["minimum"],
            since=_read(one["since"])) for one in document["versions"]
        ),
        sales=tuple(
            Sale(
                name=one["name"], opens=one["opens"], closes=one["closes"], off=one["off"], days=frozenset(one["days"]),
                first=date.fromisoformat(one["first"]) if one["first"] else None,
                last=date.fromisoformat(one["last"]) if one["last"] else None,
            )
            for one in document["sales"]
        ),
        zone=document["zone"], unit=document["unit"], place=document["place"], gpu_model=document["gpu_model"],
    )  # fmt: skip
    return Terms(tariff=tariff, fee=document["fee"], zone=document["months"])


def digest_of(document: Json) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _count(value: object) -> int | str:
    return value if type(value) is int and abs(value) < 2**63 else str(value)


def _moment(instant: datetime | None) -> str | None:
    """Formats an instant in UTC, so that equal instants are equal texts; without a zone if it came without one."""
    return None if instant is None else (instant if instant.tzinfo is None else instant.astimezone(UTC)).isoformat()


def _read(text: str | None) -> Any:
    return None if text is None else datetime.fromisoformat(text)
