"""Tests how many CPUs a job takes at once, by SelectType, SelectTypeParameters and OverSubscribe (slurm.conf(5)), and
by its nodes' threads."""

import pytest

from scnet_hub.domain.dialects.slurm import Slurm
from scnet_hub.domain.dialects.slurm_site import site

from .samples import said, sample, shown_sample
from .test_slurm import AT

TRES, LINEAR = "SelectType = select/cons_tres\n", "SelectType = select/linear\n"
THREADS = "P|main|(null)|NO|64|2|16|2|.\n"  # 2 sockets of 16 cores of 2 threads


@pytest.mark.parametrize(
    ("config", "nodes", "unit"),
    [
        (f"{TRES}SelectTypeParameters = CR_CORE_MEMORY\n", THREADS, 2),  # both threads of the core are allocated
        (f"{TRES}SelectTypeParameters = CR_CORE\n", THREADS, 2),
        (f"{TRES}SelectTypeParameters = CR_CPU_MEMORY\n", THREADS, 1),
        (f"{TRES}SelectTypeParameters = CR_CPU\n", THREADS, 1),
        (f"{TRES}SelectTypeParameters = CR_SOCKET_MEMORY\n", THREADS, 32),
        (f"{TRES}SelectTypeParameters = CR_CORE_MEMORY,CR_ONE_TASK_PER_CORE\n", THREADS, 2),
        (f"{TRES}SelectTypeParameters = (null)\n", THREADS, 2),
        (f"{LINEAR}SelectTypeParameters = CR_MEMORY\n", THREADS, 64),  # whole nodes
        (f"{TRES}SelectTypeParameters = CR_CORE_MEMORY\n", "P|main|(null)|EXCLUSIVE|64|2|16|2|.\n", 64),
        (f"{TRES}SelectTypeParameters = CR_CORE_MEMORY\n", "P|main|(null)|FORCE:4|64|2|16|2|.\n", 2),
        (
            f"{TRES}SelectTypeParameters = CR_CORE_MEMORY\n",
            "P|main|(null)|NO|32|2|16|2|.\n",
            1,
        ),  # its CPUs are its cores
        (f"{TRES}SelectTypeParameters = CR_CORE_MEMORY\n", "P|main|(null)|NO|32|2|16|1|.\n", 1),
        (
            f"{TRES}SelectTypeParameters = CR_CORE_MEMORY\n",
            "P|main|(null)|NO|4|4|1|1|.\n" + THREADS,
            2,
        ),  # the dearest of its nodes
        ("", THREADS, 2),  # who may not know the configuration is on the safe side
        (TRES, "P|main|half a row\n", 1),
    ],
)
def test_how_many_cpus_are_allocated_at_once(config: str, nodes: str, unit: int) -> None:
    assert site(config, nodes).portion("main").core_unit == unit


def test_a_snapshot_says_it_of_each_partition() -> None:
    """Slurm 22.05: one core was asked for, and NumCPUs says 2."""
    slurm = Slurm("scontrol").probed([sample("slurm", "scontrol_config_untracked"), sample("slurm", "sinfo_site")])
    taken = slurm.snapshot([sample("slurm", "sinfo_gres")], said(), AT).partitions
    assert {name: (part.core_unit, part.node_gpus) for name, part in taken.items()} == {
        "main": (2, 0),
        "whole": (8, 2),
        "dcu": (1, 0),
    }
    assert slurm.records(shown_sample("scontrol_jobs_gres"))[0].cores == 2


def test_a_sinfo_that_cannot_answer_is_no_configuration() -> None:
    plain = Slurm("sacct").probed([said(), said(stderr="sinfo: error: unknown option\n", code=1)])
    assert plain.site.portion("main").core_unit == 1 and plain.site.accelerators == ("gpu",)
