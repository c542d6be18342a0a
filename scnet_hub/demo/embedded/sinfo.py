"""sinfo of an embedded centre: its nodes, grouped as Slurm groups nodes with equal output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .client import VERSION
from .command_options import Complaint
from .formatting import MIB, Column, clock, columns, hosts, long_columns, table
from .request import Answer, Call, Controller, known_nodes, moment
from .scheduler import Free, Node, left_of
from .settings import Settings

ORDER = ("mixed", "allocated", "idle")  # as sinfo sorts them
SHORT = {"mixed": "mix", "allocated": "alloc", "idle": "idle"}
STATES = (
    "unknown,down,idle,allocated,?,mixed,future,drain,drained,draining,no_respond,reserved,perfctrs,cloud,completing,powering_down,"
    "powered_down,power_down,powering_up,fail,maint,reboot,reboot^,unknown"
)
USUAL = "%9P %.5a %.10l %.6D %.6t %N"
LONG = "%9P %.5a %.10l %.10s %.4r %.8h %.10g %.6D %.11T %N"
BY_NODE = "%{width}N %.6D %.9P %6t"
BY_NODE_LONG = "%{width}N %.6D %.9P %.11T %4c %.8z %.6m %.8d %.6w %.8f %20E"
SUMMARY = "%9P %.5a %.10l %.16F %N"
REASONS = "%20E %9u %19H %N"


@dataclass(frozen=True, slots=True)
class NodeRow:
    node: Node
    free: Free

    @property
    def used(self) -> int:
        return self.node.cores - self.free.cores

    @property
    def state(self) -> str:
        return "idle" if not self.used else "mixed" if self.free.cores else "allocated"


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes in one line; all nodes of a centre have the same size."""

    rows: Sequence[NodeRow]
    settings: Settings

    def of_first(self, show: Callable[[NodeRow], object], missing: str = "n/a") -> str:
        return str(show(self.rows[0])) if self.rows else missing

    def count(self, *states: str) -> int:
        return sum(row.state in states for row in self.rows)

    def nodes(self) -> str:
        busy, idle = self.count("mixed", "allocated"), self.count("idle")
        return f"{busy}/{idle}/0/{busy + idle}"

    def cores(self) -> str:
        used, total = sum(row.used for row in self.rows), sum(row.node.cores for row in self.rows)
        return f"{used}/{total - used}/0/{total}"

    def gres(self, number: object) -> str:
        return ":".join(filter(None, ("gpu", self.settings.gpu_model, str(number))))

    def gres_used(self, row: NodeRow) -> str:
        taken = [gpu for gpu in range(row.node.gpus) if gpu not in row.free.gpus]
        return f"{self.gres(len(taken))}(IDX:{','.join(map(str, taken)) or 'N/A'})" if row.node.gpus else "gpu:0"


NodeField = Callable[[Group], str]
TITLES = {
    "a": "AVAIL", "A": "NODES(A/I)", "b": "ACTIVE_FEATURES", "B": "MAX_CPUS_PER_NODE", "c": "CPUS",
    "C": "CPUS(A/I/O/T)", "d": "TMP_DISK", "D": "NODES", "e": "FREE_MEM", "E": "REASON", "f": "AVAIL_FEATURES",
    "F": "NODES(A/I/O/T)", "g": "GROUPS", "G": "GRES", "h": "OVERSUBSCRIBE", "H": "TIMESTAMP", "I": "PRIO_JOB_FACTOR",
    "l": "TIMELIMIT", "L": "DEFAULTTIME", "m": "MEMORY", "M": "PREEMPT_MODE", "n": "HOSTNAMES", "N": "NODELIST",
    "o": "NODE_ADDR", "O": "CPU_LOAD", "p": "PRIO_TIER", "P": "PARTITION", "r": "ROOT", "R": "PARTITION",
    "s": "JOB_SIZE", "S": "ALLOCNODES", "t": "STATE", "T": "STATE", "u": "USER", "U": "USER", "v": "VERSION",
    "V": "CLUSTER", "w": "WEIGHT", "X": "SOCKETS", "Y": "CORES", "z": "S:C:T", "Z": "THREADS", "gresused": "GRES_USED",
    "allocmem": "ALLOCMEM", "partitionname": "PARTITION",
}  # fmt: skip
CONSTANTS = {
    "a": "up", "b": "(null)", "B": "UNLIMITED", "d": "0", "E": "none", "f": "(null)", "g": "all", "h": "NO",
    "H": "Unknown", "I": "1", "L": "n/a", "M": "OFF", "O": "N/A", "p": "1", "r": "no", "s": "1-infinite", "S": "all",
    "u": "Unknown", "U": "Unknown", "V": "N/A", "v": VERSION.split()[1], "w": "1", "Y": "1", "Z": "1",
}  # fmt: skip
FIELDS: Mapping[str, NodeField] = {
    **{letter: lambda group, text=text: text for letter, text in CONSTANTS.items()},  # type: ignore[misc]
    "A": lambda group: f"{group.count('mixed', 'allocated')}/{group.count('idle')}",
    "c": lambda group: group.of_first(lambda row: row.node.cores, "0"),
    "C": lambda group: group.cores(),
    "D": lambda group: str(len(group.rows)),
    "e": lambda group: group.of_first(lambda row: row.free.memory // MIB, "0"),
    "F": lambda group: group.nodes(),
    "G": lambda group: group.of_first(lambda row: group.gres(row.node.gpus) if row.node.gpus else "(null)", "(null)"),
    "l": lambda group: clock(group.settings.max_walltime),
    "m": lambda group: group.of_first(lambda row: row.node.memory // MIB, "0"),
    "n": lambda group: hosts([row.node.name for row in group.rows]),
    "N": lambda group: hosts([row.node.name for row in group.rows]),
    "o": lambda group: group.of_first(lambda row: row.node.address, ""),
    "P": lambda group: f"{group.settings.partition}*",
    "R": lambda group: group.settings.partition,
    "t": lambda group: group.of_first(lambda row: SHORT[row.state]),
    "T": lambda group: group.of_first(lambda row: row.state),
    "X": lambda group: group.of_first(lambda row: row.node.cores, "0"),
    "z": lambda group: group.of_first(lambda row: f"{row.node.cores}:1:1", "0:0:0"),
    "gresused": lambda group: group.of_first(group.gres_used, "(null)"),
    "allocmem": lambda group: group.of_first(lambda row: (row.node.memory - row.free.memory) // MIB, "0"),
    "partitionname": lambda group: group.settings.partition,
}
WORDS = {
    "available": "a", "cluster": "V", "cores": "Y", "cpus": "c", "cpusload": "O", "cpusstate": "C",
    "allocmem": "allocmem", "allocnodes": "S", "defaulttime": "L", "disk": "d", "features": "f", "features_act": "b",
    "freemem": "e", "gres": "G", "gresused": "gresused", "groups": "g", "maxcpuspernode": "B", "memory": "m",
    "nodeai": "A", "nodeaiot": "F", "nodeaddr": "o", "nodehost": "n", "nodelist": "N", "nodes": "D",
    "oversubscribe": "h", "partition": "P", "partitionname": "partitionname", "preemptmode": "M",
    "priorityjobfactor": "I", "prioritytier": "p", "reason": "E", "root": "r", "size": "s", "socketcorethread": "z",
    "sockets": "X", "statecompact": "t", "statelong": "T", "threads": "Z", "time": "l", "timestamp": "H", "user": "u",
    "userlong": "U", "version": "v", "weight": "w",
}  # fmt: skip
APART: Mapping[str, Callable[[NodeRow], object]] = {
    "t": lambda row: row.state, "T": lambda row: row.state, "n": lambda row: row.node.name,
    "o": lambda row: row.node.address, "e": lambda row: row.free.memory, "gresused": lambda row: row.free.gpus,
    "allocmem": lambda row: row.free.memory,
}  # fmt: skip


def sinfo(call: Call, centre: Controller) -> Answer:
    given = call.given
    wanted = _columns(given, centre)
    left = left_of(centre.nodes, centre.running())
    rows = [row for row in (NodeRow(node, left[node.name]) for node in centre.nodes) if _asked_for(row, given, centre)]
    groups = _groups(rows, [] if "summarize" in given else wanted, centre, by_node="Node" in given)
    if (
        centre.settings.partition not in given.get("partition", centre.settings.partition).split(",")
        or "list-reasons" in given
    ):
        groups = []
    titles = None if "noheader" in given else TITLES
    long = "long" in given and not given.keys() & {"format", "Format", "summarize", "list-reasons"}
    text = table(wanted, groups, lambda letter, group: FIELDS[letter](group), titles)
    return Answer(0, (moment(call.question, centre).date_line() if long else "") + text)


def _columns(given: Mapping[str, str], centre: Controller) -> list[Column]:
    if "format" in given and "Format" in given:
        raise Complaint("-O (--Format) is incompatible with -o (--format)")
    if "Format" in given:
        return long_columns(given["Format"], WORDS, "node")
    usual = {
        (False, False): USUAL, (False, True): LONG, (True, False): BY_NODE, (True, True): BY_NODE_LONG,
    }["Node" in given, "long" in given]  # fmt: skip
    form = REASONS if "list-reasons" in given else SUMMARY if "summarize" in given else usual
    width = max(9, *(len(node.name) for node in centre.nodes))
    return columns(given.get("format", form.replace("{width}", str(width))), FIELDS, "node")


def _asked_for(row: NodeRow, given: Mapping[str, str], centre: Controller) -> bool:
    states = _states(given["states"]) if "states" in given else set(ORDER)
    names = known_nodes(given["nodes"], centre) if "nodes" in given else {row.node.name}
    return row.state in states and row.node.name in names and "dead" not in given


def _states(text: str) -> set[str]:
    """Returns the named states that a node here can have. Raises Complaint."""
    found = set()
    for word in text.lower().split(","):
        full = next(
            (state for state in {**SHORT, **dict.fromkeys(STATES.split(","), "")} if word and state.startswith(word)),
            "",
        )
        if word == "all":
            found |= set(ORDER)
        elif not full:
            raise Complaint(f'Bad state string: "{text}"', f"valid states: {STATES}")
        else:
            found.add(full)
    return found


def _groups(rows: Sequence[NodeRow], wanted: Sequence[Column], centre: Controller, *, by_node: bool) -> list[Group]:
    """Groups nodes with equal output, partly used nodes first; one group without nodes if there are no nodes."""
    if by_node:
        return [Group([row], centre.settings) for row in rows]
    marks = [APART[column.letter] for column in wanted if column.letter in APART]
    found: dict[tuple[object, ...], list[NodeRow]] = {}
    for row in rows:
        found.setdefault(tuple(mark(row) for mark in marks), []).append(row)
    sort = any(column.letter in "tT" for column in wanted if column.letter)
    groups = sorted(found.values(), key=lambda group: ORDER.index(group[0].state) if sort else 0)
    return [Group(group, centre.settings) for group in groups] or [Group([], centre.settings)]
