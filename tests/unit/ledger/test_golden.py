"""Tests that the golden vectors in the package equal the hub's results for those accounting rows, and calculations by
hand."""

from __future__ import annotations

from datetime import datetime
from importlib import resources

import pytest

from scnet_hub.domain.jobs import Ending

from . import golden

CASES = golden.read("cases")
ACCOUNTING = golden.read("accounting")
RECORDS = golden.read("records")
SEGMENTS = golden.read("segments")
CORE_HOUR, GPU_HOUR = 1_200_000, 20_000_000


def of(case: str, table: list[golden.Row]) -> list[golden.Row]:
    return [row for row in table if row["case"] == case]


@pytest.mark.parametrize("name", ["records", "segments"])
def test_the_vectors_are_what_the_hub_makes_of_the_rows(name: str) -> None:
    table = dict(zip(("records", "segments"), golden.tables(), strict=True))[name]
    assert (golden.FOLDER / f"{name}.csv").read_text() == golden.as_csv(table), (
        "python -m tests.unit.ledger.golden writes them anew"
    )


@pytest.mark.parametrize("row", SEGMENTS, ids=lambda row: f"{row['case']}-{row['restart']}-{row['segment']}")
def test_each_charge_is_amounts_times_seconds_rounded_up_once(row: golden.Row) -> None:
    """Without any code of ours: whole numbers only."""
    (run,) = (
        one for one in of(row["case"], RECORDS) if (one["birth"], one["restart"]) == (row["birth"], row["restart"])
    )
    seconds = int((datetime.fromisoformat(row["end"]) - datetime.fromisoformat(row["start"])).total_seconds())
    gpus = sum(int(one.partition("=")[2]) for one in run["gpus"].split())
    micros = (int(run["cores"]) * CORE_HOUR + gpus * GPU_HOUR) * seconds
    assert int(row["micro_credits"]) == (-(-micros // 3600) if row["charged"] == "yes" else 0)
    held = dict(one.split("=") for one in row["meters"].split())
    assert int(held["core-second"]) == int(run["cores"]) * seconds
    assert float(held.get("gib-second", 0)) == int(run["memory_bytes"]) * seconds / 2**30


@pytest.mark.parametrize("run", RECORDS, ids=lambda row: f"{row['case']}-{row['birth']}-{row['restart']}")
def test_the_segments_of_a_run_sum_to_its_elapsed_time(run: golden.Row) -> None:
    parts = [
        one for one in of(run["case"], SEGMENTS) if (one["birth"], one["restart"]) == (run["birth"], run["restart"])
    ]
    length = sum(
        (datetime.fromisoformat(one["end"]) - datetime.fromisoformat(one["start"])).total_seconds() for one in parts
    )
    assert length == int(run["elapsed_s"]) and bool(parts) == bool(run["start"])


def test_the_vectors_hold_every_way_to_end_and_every_scheduler() -> None:
    assert {row["ending"] for row in RECORDS} == {"", *(ending.value for ending in Ending)}
    assert {row["dialect"] for row in CASES} == {"slurm", "gridengine", "oar"}
    assert {row["case"] for row in CASES} == {row["case"] for row in ACCOUNTING} == {row["case"] for row in RECORDS}
    assert len({row["case"] for row in CASES}) == len(CASES) and all(row["means"].endswith(".") for row in CASES)


@pytest.mark.parametrize(
    ("case", "micros"),
    [
        ("cancelled-queued", []),  # JOB-11
        ("month-end", [4_800_000, 9_601_334]),  # MET-04
        ("month-end-exact", [4_800_000]),
        ("requeue", [16_000, 400_000]),  # MET-05
        ("node-fail-requeue", [0, 80_000]),
        ("cancelled-by-uid", [19_667]),  # MET-07
        ("out-of-memory", [2_334]),
        ("deadline", [20_334]),
        ("preempted", [0]),
        ("node-fail", [0]),
        ("forty-days", [336_000_000, 806_400_000, 9_600_334]),  # MET-08
        ("clock-back", [202_800_000, 27_600_000]),  # MET-09
        ("clock-forward", [891_600_000]),
        ("id-reused", [20_000, 40_000]),  # MET-10
        ("zero-length", [0]),  # MET-11
        ("gpu-two-models", [1_800_000]),  # MET-13
        ("outage", [2_400_000, 0, 4_800_000]),  # SET-02
    ],
)
def test_charges_of_the_cases_that_others_get_wrong(case: str, micros: list[int]) -> None:
    assert [int(row["micro_credits"]) for row in of(case, SEGMENTS)] == micros


def test_the_files_are_in_the_package() -> None:
    folder = resources.files("scnet_hub.domain.standard") / "golden"
    assert {one.name for one in folder.iterdir()} >= {
        f"{name}.csv" for name in ("cases", "accounting", "prices", "records", "segments")
    }


def test_the_reference_explains_every_column() -> None:
    page = (golden.FOLDER.parents[3] / "docs/reference/usage.md").read_text()
    for name in ("cases", "accounting", "prices", "records", "segments"):
        section = page.split(f"`{name}.csv`: ")[1]
        assert not [column for column in golden.read(name)[0] if f"`{column}`" not in section]
