"""Lists prices for people: each partition's tariff as a document, with all its versions, its sales, and the current
prices.

Uses the tariff by which charges are made (`domain/pricing/tariffs.py`); knows no request and no project.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ...domain.pricing.tariffs import GPU, WHOLE, Rates, Sale, Tariff, Version, tariff_of
from ...domain.standard.centre import CentreSpec, PartitionSpec
from ...domain.standard.tariff import DAYS
from ..documents import iso, number

Json = dict[str, Any]
AHEAD = timedelta(days=31)  # how far ahead the next change is searched
ROUNDING = (
    "Each segment is rounded up to a millionth of a credit, once; a session that ran costs at least its minimum, once."
)


def of(spec: CentreSpec, now: datetime) -> list[Json]:
    """Returns a document for each partition."""
    return [_document(spec, partition, tariff_of(spec, partition), now) for partition in spec.partition]


def _document(spec: CentreSpec, partition: PartitionSpec, tariff: Tariff, now: datetime) -> Json:
    """Returns prices by meter, per hour; None for the GPU of a partition without GPUs. Times are instants; those of
    sales are the centre's wall clock."""
    gpus = partition.gpus > 0
    return {
        "centre": spec.id,
        "centre_name": spec.name,
        "partition": partition.name,
        "gpus": partition.gpus,
        "gpu_model": partition.gpu_model,
        "unit": tariff.unit,
        "zone": tariff.zone,
        "now": _now(tariff.at(now), gpus),
        "changes_at": iso(next(iter(tariff.cuts(now, now + AHEAD)), None)),
        "versions": [_version(one, gpus) for one in tariff.versions],
        "sales": [_sale(one) for one in tariff.sales],
        "rounding": ROUNDING,
        "remarks": [one for one in spec.remarks() if one.startswith(f"Partition {partition.name} ")],
    }


def _now(rates: Rates, gpus: bool) -> Json:
    """Returns the list prices, the sale's reduction, and the prices paid."""
    paid = {meter: -(-price * (WHOLE - rates.off) // WHOLE) for meter, price in rates.prices.items()}
    return {
        **_prices(rates, gpus),
        "sale": rates.sale,
        "percent_off": rates.off * 100 / WHOLE,
        "paid": _listed(paid, gpus),
    }


def _version(one: Version, gpus: bool) -> Json:
    return {"since": iso(one.since.astimezone(UTC) if one.since else None), **_prices(one, gpus)}


def _prices(one: Rates | Version, gpus: bool) -> Json:
    return {"prices": _listed(one.prices, gpus), "minimum": number(one.minimum)}


def _listed(prices: Mapping[str, int], gpus: bool) -> Json:
    found = {meter: number(price) for meter, price in prices.items() if gpus or meter.partition(":")[0] != GPU}
    return found if gpus else {**found, GPU: None}


def _sale(one: Sale) -> Json:
    return {
        "name": one.name,
        "days": [DAYS[day] for day in sorted(one.days)],
        "from": _clock(one.opens),
        "to": _clock(one.closes),
        "percent_off": one.off * 100 / WHOLE,
        "first_day": one.first.isoformat() if one.first else None,
        "last_day": one.last.isoformat() if one.last else None,
    }


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
