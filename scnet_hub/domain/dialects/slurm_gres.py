"""Reads Slurm's notation of accelerators: every spelling of a count of generic resources (gres) that its commands print
from 20.11 to 25.11.

Four kinds of text hold them: the list of a node (`Gres`), its used part (`GresUsed`), what a job asked for (`%b`,
tres-per-*, `TresPer*`), and trackable resources (`AllocTRES`, `TRES`). Sources: `src/interfaces/gres.c`
(`gres_node_config_build_str`, `gres_g_node_state`), gres.conf(5), sbatch(1), sacct(1). Knows no job and no node.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

# What centres call vendors' devices in GresTypes: gpu is Slurm's own name, the others are common practice. Shares of a
# device (mps, shard) are not whole devices, and resources that are not devices (bandwidth, craynetwork, license) are
# not counted either.
KNOWN = ("gpu", "dcu", "npu", "mlu", "gcu", "xpu", "hpu", "ppu", "ipu", "tpu")
_UNITS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}
_COUNT = re.compile(r"(\d{1,18})([KMGTP]?)", re.ASCII | re.IGNORECASE)
# of a list: a comma in brackets ends no item. Takes time by the length alone
_ITEM = re.compile(r"(?:[^,(]+|\([^)]*\)?)+")
_FLAGS = frozenset({"no_consume"})


class Gres(NamedTuple):
    """One kind of generic resource. `model` is Slurm's Type, "" if not given; `total` is true if an entry without a
    model counts all models, as in trackable resources ("gres/gpu=4,gres/gpu:a100=2" are four GPUs; in lists of nodes
    they would be six)."""

    name: str
    model: str
    number: int
    total: bool = False


def parse(text: str) -> list[Gres]:
    """Returns the kinds in any such text, in its order. Other text (cpu=4, mem=1G, "(null)", "N/A") is left out. Raises
    ValueError for a count in trackable resources that is not a number, because charges are made of them."""
    plain = text.replace("(null)", "")
    return [kind for item in _ITEM.findall(plain) if (kind := _kind(item.strip()))]


def _kind(item: str) -> Gres | None:
    bare = item.split("(", 1)[0]  # (S:0-1), (IDX:0,2-3), (0/8,4/8)
    prefixed = bare.startswith(("gres:", "gres/"))
    name, equals, count = bare[5 if prefixed else 0 :].partition("=")
    if equals:
        if not prefixed:
            return None
        return Gres(*_named(name.split(":")), _whole(count, item), True)
    parts = [part for part in name.split(":") if part not in _FLAGS]
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", parts[0], re.ASCII):
        return None
    match = _COUNT.fullmatch(parts[-1]) if len(parts) > 1 else None
    return Gres(*_named(parts[:-1] if match else parts), _number(match) if match else 1)


def _named(parts: list[str]) -> tuple[str, str]:
    return parts[0].lower(), ":".join(part for part in parts[1:] if part)


def _number(match: re.Match[str]) -> int:
    return int(match[1]) * int(1024 ** _UNITS[match[2].upper()])


def _whole(text: str, item: str) -> int:
    match = _COUNT.fullmatch(text)
    if not match:
        raise ValueError(f"its {item[:60].partition('=')[0]} is {text[:40]!r}, not a whole number")
    return _number(match)


def total(kinds: Iterable[Gres], names: tuple[str, ...]) -> int:
    """Returns the number of devices, of the accelerators called `names`."""
    counted = [kind for kind in kinds if kind.name in names]
    return sum(_total([kind for kind in counted if kind.name == name]) for name in {kind.name for kind in counted})


def _total(kinds: list[Gres]) -> int:
    typed = sum(kind.number for kind in kinds if kind.model)
    bare = sum(kind.number for kind in kinds if not kind.model)
    return max(typed, bare) if any(kind.total for kind in kinds) else typed + bare


def models(kinds: Iterable[Gres], names: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    """Returns the number of each model, if models are given."""
    found: dict[str, int] = defaultdict(int)
    for kind in kinds:
        if kind.name in names and kind.model and kind.number:
            found[kind.model] += kind.number
    return tuple(sorted(found.items()))


def model_of(kinds: Iterable[Gres], names: tuple[str, ...]) -> str:
    """Returns the first model of an accelerator, which stands for all devices of a node; "" if none is given."""
    return next((kind.model for kind in kinds if kind.name in names and kind.model), "")


def asked(
    per_node: str, per_job: str, per_task: str, per_socket: str, *, nodes: int, tasks: int, names: tuple[str, ...]
) -> int:
    """Returns the devices of a whole job by what it asked for; the options express the same amount in different ways,
    so the largest counts. The number of sockets is unknown: each node has at least one."""
    each = ((per_node, nodes), (per_job, 1), (per_task, max(tasks, 1)), (per_socket, nodes))
    return max(_asked(text, names) * times for text, times in each)


@lru_cache(4096)  # in a queue of 100,000 jobs, most ask for the same
def _asked(text: str, names: tuple[str, ...]) -> int:
    """Returns the devices in one option. No charge is made from this, so text that can't be read counts as none."""
    try:
        return total(parse(text), names) if text not in ("N/A", "(null)", "") else 0
    except ValueError:
        return 0
