"""Tests the query of all jobs of a time span: one query for each scheduler, without a shell pipe, and bounded by the
span."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from scnet_hub.domain.dialects.gridengine import GridEngine
from scnet_hub.domain.dialects.oar import Oar
from scnet_hub.domain.dialects.slurm import Slurm
from scnet_hub.domain.dialects.slurm_backfill import Cycle

SINCE = datetime(2026, 11, 23, tzinfo=timezone(timedelta(hours=8)))
UNTIL = SINCE + timedelta(days=1)


def test_slurm_is_asked_for_everybodys_jobs_in_utc() -> None:
    argv = Slurm("sacct", Cycle()).usage_between(SINCE, UNTIL, "w").argv
    assert {
        "TZ=UTC",
        "--allusers",
        "--duplicates",
        "--starttime=2026-11-22T16:00:00",
        "--endtime=2026-11-23T16:00:00",
    } <= {*argv}
    assert "--delimiter=|w|" in argv


def test_slurm_without_accounting_is_asked_for_what_it_remembers() -> None:
    asked, script = (
        Slurm("scontrol", Cycle()).usage_between(SINCE, UNTIL, "w").argv[-1],
        Slurm("scontrol").usage_between(SINCE, UNTIL).argv[-3],
    )
    assert asked == "w" and "scnet-" in script and "\n" not in script


def test_grid_engine_is_asked_for_the_federations_names() -> None:
    assert {"4", "scnet-[a-z0-9-]+"} <= {*GridEngine().usage_between(SINCE, UNTIL).argv}


def test_oar_is_asked_by_its_own_times() -> None:
    sql = Oar(()).usage_between(SINCE, UNTIL).argv[-1]
    first, last = int(SINCE.timestamp()), int(UNTIL.timestamp())
    assert sql == (
        f"job_name LIKE 'scnet-%' AND submission_time < {last} AND start_time < {last} AND (stop_time = 0 OR "
        f"stop_time >= {first})"
    )
