"""The golden vectors: accounting rows as centres print them, with their expected usage and charges. `python -m
tests.unit.ledger.golden` writes the derived tables again; `cases.csv` and `accounting.csv` are written by hand."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from scnet_hub.domain.commands import Command, Completed
from scnet_hub.domain.dialects.dialect import Dialect
from scnet_hub.domain.dialects.gridengine import Complex, GridEngine
from scnet_hub.domain.dialects.oar import Oar
from scnet_hub.domain.dialects.slurm import Slurm
from scnet_hub.domain.dialects.slurm_backfill import Cycle
from scnet_hub.domain.jobs import UsageRecord
from scnet_hub.domain.pricing.rates import segment_cost
from scnet_hub.domain.pricing.tariffs import Rates
from scnet_hub.domain.usage.cloud_events import decimal
from scnet_hub.domain.usage.refunds import Outage, refund
from scnet_hub.domain.usage.runs import Usage, usage_of
from scnet_hub.domain.usage.segments import meters, segments

FOLDER = Path(__file__).parents[3] / "scnet_hub/domain/standard/golden"
CENTRE = "golden"
# The installations that printed those rows: which complexes and properties stand for GPUs and memory there.
DIALECTS: Mapping[str, Dialect] = {
    "slurm": Slurm("sacct", Cycle()),
    "gridengine": GridEngine(
        gpu=Complex("gpu", True, True), memory=Complex("h_vmem", True, True), model=Complex("gpu_model")
    ),
    "oar": Oar(model="gpumodel", models=("k80", "p100")),
}
Row = dict[str, str]


def read(name: str) -> list[Row]:
    with (FOLDER / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def prices() -> Rates:
    return Rates(prices={row["meter"]: int(row["micros_per_hour"]) for row in read("prices")})


def usages(case: Row, rows: Iterable[Row]) -> Iterator[Usage]:
    """What the rows of one case are, each life of the cluster asked on its own."""
    births: dict[str, list[str]] = {}
    for row in rows:
        births.setdefault(row["birth"], []).append(row["row"])
    seen_at = instant(case["seen_at"])
    for birth, printed in births.items():
        for record in records(case["dialect"], printed):
            yield usage_of(
                record, centre=CENTRE, birth=birth, session=record.name.removeprefix("scnet-"), copy=1, seen_at=seen_at
            )


def records(dialect: str, printed: Sequence[str]) -> list[UsageRecord]:
    """By the dialect, from what its question would have been answered."""
    if dialect == "gridengine":
        ids = "|".join(dict.fromkeys(line.split(":")[5] for line in printed))
        answer = "\n".join(
            ("<job_info><queue_info/><job_info/></job_info>", "qstat 0", *printed, "recent", f"end {ids}", "")
        )
    elif dialect == "oar":
        answer = json.dumps({key: value for line in printed for key, value in json.loads(line).items()})
    else:
        answer = "".join(f"{line}\n" for line in printed)
    return DIALECTS[dialect].records(Completed(Command(("x",)), 0, answer, ""))


def outages(case: Row) -> list[Outage]:
    if not case["outage_start"]:
        return []
    return [
        Outage(centre=CENTRE, start=instant(case["outage_start"]), end=instant(case["outage_end"]), words=case["case"])
    ]


def tables() -> tuple[list[Row], list[Row]]:
    """The records and the segments of all cases."""
    rows = read("accounting")
    told: list[Row] = []
    cut: list[Row] = []
    rates = prices()
    for case in read("cases"):
        for usage in usages(case, (row for row in rows if row["case"] == case["case"])):
            told.append(record_row(case, usage))
            free = refund(usage, outages(case))
            for part in segments(usage, case["zone"], free.cuts):
                held = meters(part)
                cost = 0 if free.covers(part) else segment_cost(held, rates, part.length).amount.micros
                cut.append(
                    {
                        "case": case["case"], "job_id": usage.job_id, "birth": usage.birth,
                        "restart": f"{usage.restart}", "segment": f"{part.number}", "start": written(part.start),
                        "end": written(part.end),
                        "meters": " ".join(f"{meter}={decimal(amount)}" for meter, amount in held.items()),
                        "charged": "no" if free.covers(part) else "yes", "micro_credits": f"{cost}",
                    }
                )  # fmt: skip
    return told, cut


def record_row(case: Row, usage: Usage) -> Row:
    return {
        "case": case["case"], "job_id": usage.job_id, "birth": usage.birth, "restart": f"{usage.restart}",
        "name": usage.name, "submitted": written(usage.submitted_at), "start": written(usage.start),
        "end": written(usage.end), "elapsed_s": f"{usage.elapsed // timedelta(seconds=1)}", "cores": f"{usage.cores}",
        "gpus": " ".join(f"{model or 'any'}={count}" for model, count in usage.gpus), "memory_bytes": f"{usage.memory}",
        "ending": usage.ending.value if usage.ending else "", "ended_by": usage.ended_by,
    }  # fmt: skip


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def written(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def as_csv(rows: Sequence[Row]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


if __name__ == "__main__":
    for name, table in zip(("records", "segments"), tables(), strict=True):
        (FOLDER / f"{name}.csv").write_text(as_csv(table), encoding="utf-8")
