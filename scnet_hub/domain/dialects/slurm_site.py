"""Describes what one installation of Slurm counts and allocates, by its configuration: accelerators and how they are
accounted for, and the fewest CPUs that a job takes.

Two queries, sent once: `scontrol show config` and one row of sinfo for each kind of node in each partition. Pure;
`slurm` sends them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from . import slurm_gres

SINFO = ("sinfo", "--noheader", "--exact", "--all", "--format=P|%R|%G|%h|%c|%X|%Y|%Z|.")
_ROW = re.compile(r"P\|([^|\n]*)\|([^|\n]*)\|([^|\n]*)\|(\d{1,9})\|(\d{1,9})\|(\d{1,9})\|(\d{1,9})\|\.", re.ASCII)
TRACKS = "AccountingStorageTRES"


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """One partition. `gres` are its nodes' accelerators; a job takes `core_unit` CPUs of a node at once, or a multiple
    of it, and with each node `node_gpus` accelerators: all of the costliest node's if a job is given whole nodes
    (slurm.conf(5), OverSubscribe=EXCLUSIVE)."""

    gres: tuple[slurm_gres.Gres, ...] = ()
    core_unit: int = 1
    node_gpus: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """`accelerators` are the gres that count as GPUs; `untracked` those that accounting does not report (an accelerator
    that is tracked by its models alone is reported only for jobs that named a model: slurm.conf(5),
    AccountingStorageTRES); `submit_line` whether accounting has the command line, which Slurm records since 21.08."""

    accelerators: tuple[str, ...] = ("gpu",)
    untracked: tuple[str, ...] = ()
    submit_line: bool = True
    partitions: Mapping[str, Portion] = field(default_factory=dict)

    def accelerator(self, partition: str, model: str) -> str:
        """Returns what a job of that partition asks for: the accelerator of that model there, else the partition's
        first, else the first."""
        there = self.portion(partition).gres
        named = [kind.name for kind in there if kind.model.lower() == model.lower()] if model else []
        return next(iter((*named, *(kind.name for kind in there), *self.accelerators)), "gpu")

    def portion(self, partition: str) -> Portion:
        return self.partitions.get(partition, Portion())


def site(config: str, nodes: str, accelerators: Sequence[str] = ()) -> Site:
    """Makes the site from `scontrol show config` and the output of `SINFO`; `accelerators` are those of the centre's
    page. If the account may not read the configuration, accelerators are what the nodes have, and accounting is assumed
    to know them."""
    said = {key: value.rstrip(" ") for key, value in re.findall(r"^(\w+) *= (.*)$", config, re.MULTILINE)}
    rows = list(dict.fromkeys(_ROW.findall(nodes)))
    there = [kind for row in rows for kind in slurm_gres.parse(row[1])]
    types = [*said.get("GresTypes", "").lower().split(","), *(kind.name for kind in there)]
    found = tuple(accelerators) or tuple(name for name in slurm_gres.KNOWN if name in types) or ("gpu",)
    tracked = (
        [one.strip().lower() for one in said[TRACKS].split(",")]
        if TRACKS in said
        else [f"gres/{name}" for name in found]
    )
    untracked = tuple(name for name in found if name in types and f"gres/{name}" not in tracked)
    whole, select = said.get("SelectType", "") == "select/linear", said.get("SelectTypeParameters", "").upper()
    return Site(
        accelerators=found, untracked=untracked, submit_line=_knows_submit_line(said.get("SLURM_VERSION", "")),
        partitions={name: _portion(name, rows, found, select, whole=whole) for name in {row[0] for row in rows}},
    )  # fmt: skip


def _knows_submit_line(version: str) -> bool:
    match = re.match(r"(\d{1,4})\.(\d{1,4})", version, re.ASCII)
    return not match or (int(match[1]), int(match[2])) >= (21, 8)


def _portion(
    name: str, rows: Iterable[Sequence[str]], accelerators: tuple[str, ...], select: str, *, whole: bool
) -> Portion:
    mine = [(row, whole or row[2] == "EXCLUSIVE") for row in rows if row[0] == name]
    return Portion(
        gres=tuple(kind for row, _ in mine for kind in slurm_gres.parse(row[1]) if kind.name in accelerators),
        core_unit=max(_core_unit(row, select, whole=given_whole) for row, given_whole in mine),
        node_gpus=max(
            slurm_gres.total(slurm_gres.parse(row[1]), accelerators) if given_whole else 0 for row, given_whole in mine
        ),
    )


def _core_unit(row: Sequence[str], select: str, *, whole: bool) -> int:
    """Returns the fewest CPUs by SelectTypeParameters (slurm.conf(5)): CR_CPU gives single threads, CR_Core cores with
    all their threads, CR_Socket whole sockets. A node whose CPUs are its cores, although these have two threads, counts
    cores."""
    cpus, sockets, cores, threads = (int(number) for number in row[3:7])
    if whole:
        return max(cpus, 1)
    each = threads if cpus == sockets * cores * threads else 1
    if "CR_SOCKET" in select:
        return max(each * cores, 1)
    return 1 if "CR_CPU" in select else max(each, 1)
