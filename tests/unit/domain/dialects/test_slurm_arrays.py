"""Waiting arrays: one row of squeue for all tasks. Expressions as `xlate_array_task_str`
(src/common/slurm_protocol_defs.c) and `bit_fmt` (src/common/bitstring.c) print them, seen on Slurm 22.05
(`tests/samples/slurm/squeue_arrays.txt`)."""

import pytest

from scnet_hub.domain.dialects.slurm import Slurm
from scnet_hub.domain.dialects.slurm_arrays import MOST, Tasks, may_start, tasks_of
from scnet_hub.domain.dialects.slurm_backfill import Cycle

from .samples import said, sample
from .test_slurm import AT, row

slurm = Slurm("sacct", Cycle())


@pytest.mark.parametrize(
    ("expression", "tasks"),
    [
        ("N/A", Tasks()),
        ("7", Tasks()),
        ("0-199", Tasks(200)),
        ("[0-199]", Tasks(200)),
        ("2-199%2", Tasks(198, 2)),
        ("0-198:2", Tasks(100)),
        ("0-198:2%5", Tasks(100, 5)),
        ("0-10:3", Tasks(4)),
        ("0-1,5,7-9,20", Tasks(7)),
        ("0-1,5,7-9,20%1", Tasks(7, 1)),
        ("5%4", Tasks(1, 4)),
        ("0-9%0", Tasks(10)),  # 0 is no limit
        ("1,3,5,7,9,11,1...", Tasks(6, None, True)),  # longer than SLURM_BITSTR_LEN: a number may be cut in two
        ("1,3,5,7-9,...%2", Tasks(6, 2, True)),
        ("0-4000000", Tasks(MOST)),
        ("0-9999999,0-9999999", Tasks(MOST)),
        ("9-2", Tasks(1)),
        ("", Tasks()),
        ("what", Tasks()),
    ],
)
def test_every_form_of_an_arrays_tasks_is_counted(expression: str, tasks: Tasks) -> None:
    assert tasks_of(expression) == tasks


def test_the_limit_of_an_array_counts_those_that_run() -> None:
    assert [may_start(tasks_of("2-199%3"), running) for running in (0, 1, 3, 9)] == [3, 2, 0, 0]
    assert may_start(tasks_of("2-199"), 500) == 198


def test_a_waiting_array_counts_its_tasks_and_who_waits_behind_it_has_its_place() -> None:
    ahead = row(5, "PENDING", "n/a", reason="Priority", tasks="0-199").replace("|1|1:00:00|", "|8|1:00:00|")
    behind = row(900, "PENDING", "n/a", reason="Priority").replace("|1|900|N/A|", "|0|900|N/A|")
    queue = said(ahead + behind)
    main = slurm.snapshot([sample("slurm", "sinfo_nodes")], queue, AT).partitions["main"]
    assert (main.queued_jobs, main.queued_cores, len(main.waiting)) == (201, 1601, 100)
    assert [slurm.statuses(queue, AT)[job].place for job in ("5", "900")] == [1, 201]


def test_tasks_that_an_arrays_own_limit_holds_stand_in_nobodys_way() -> None:
    held = row(5, "PENDING", "n/a", reason="Priority", tasks="2-499%2")
    runs = [row(job, "RUNNING", tasks=f"{job - 6}", array=5) for job in (6, 7)]
    ours = row(900, "PENDING", "n/a", reason="Resources")
    assert slurm.statuses(said(held + runs[0] + ours), AT)["900"].place == 2  # one more may run
    full = slurm.snapshot([sample("slurm", "sinfo_nodes")], said(held + "".join(runs) + ours), AT).partitions["main"]
    assert (full.queued_jobs, full.running_jobs) == (1, 2)


def test_arrays_as_slurm_really_says_them() -> None:
    """198 tasks are held by their limit, 100 are every second one, 7 are listed; three are held by their owner."""
    taken = slurm.snapshot([sample("slurm", "sinfo_gres")], sample("slurm", "squeue_arrays"), AT).partitions
    assert (taken["dcu"].queued_jobs, taken["dcu"].running_jobs) == (107, 4)
    places = {job: status.place for job, status in slurm.statuses(sample("slurm", "squeue_arrays"), AT).items()}
    assert (places["8"], places["9"], places["10"], places["11"]) == (0, 1, 101, 0)


def test_the_question_has_a_bound_whatever_the_arrays() -> None:
    asked = slurm.queue().argv
    assert "SLURM_BITSTR_LEN=4096" in asked and not {"-r", "--array"} & set(asked)
