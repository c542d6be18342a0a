"""Every word of Slurm 20.11 to 25.11 for the state of a node and of a job, and every form of a host list: what each
release's `node_state_string`, `node_state_string_complete` and `job_state_string` (src/common/slurm_protocol_defs.c)
can return, sinfo(1) NODE STATE CODES, squeue(1) JOB STATE CODES and `hostlist_ranged_string`
(src/common/hostlist.c)."""

from itertools import islice

import pytest

from scnet_hub.domain.dialects.slurm import Slurm
from scnet_hub.domain.dialects.slurm_accounting import ENDINGS, STATES, state_of
from scnet_hub.domain.dialects.slurm_backfill import Cycle
from scnet_hub.domain.dialects.slurm_hosts import first_host, hosts
from scnet_hub.domain.dialects.slurm_nodes import MARKS, takes_jobs
from scnet_hub.domain.jobs import Ending, JobState

from .samples import said, sample
from .test_slurm import AT, row

slurm = Slurm("sacct", Cycle())

# One word with a mark, as sinfo's StateLong prints it in small letters. From 20.11 on unless a release is named.
TAKE_JOBS = (
    "idle mixed allocated completing",
    "idle~ mixed~ allocated~ completing~",  # powered down: booted for the next job
    "idle# mixed# allocated# completing#",  # booting
    "allocated+",  # one of its jobs is completing
    "planned mixed-",  # 21.08: backfill keeps it for a job; a shorter one may go first
)
TAKE_NONE = (
    "idle* mixed* allocated* completing*",  # does not answer
    "idle! mixed! allocated! completing!",  # 21.08: is going to be powered down
    "idle% mixed% allocated% completing%",  # is being powered down
    "idle$ mixed$ allocated$ completing$ maint maint*",  # maintenance
    "idle@ mixed@ allocated@ completing@",  # waits for its reboot
    "idle^ mixed^ allocated^ completing^ reboot reboot* reboot^ reboot_issued cancel_reboot",  # 21.08: "^"
    "down down* down~ down# down! down% down$ down@ down^",
    "drained drained* drained~ drained# drained! drained% drained$ drained@ drained^",
    "draining draining* draining~ draining# draining! draining% draining$ draining@ draining^",
    "fail fail* failing failing* error",
    "future future* future~ future# future! future% future$ future@ future^",
    "inval",  # 21.08: it registered with less than slurm.conf says
    "reserved",
    "blocked",  # 24.11: for a job alone on its block of the topology
    "perfctrs",  # until 23.02
    "power_down power_up powering_down powered_down powering_up",  # 21.08: of a node whose state is not known yet
    "cloud external dynamic_future dynamic_norm undrain resume",  # 23.11 and 25.05
    "unknown unknown*",
)
# A base with flags, as sinfo's StateComplete and scontrol print it.
FLAGGED_TAKE_JOBS = (
    "IDLE+CLOUD", "IDLE+CLOUD+POWERED_DOWN", "MIXED+CLOUD+POWERED_DOWN", "IDLE+PLANNED", "MIXED+PLANNED",
    "ALLOCATED+COMPLETING", "IDLE+DYNAMIC_NORM", "IDLE+CLOUD+POWERING_UP", "MIXED+COMPLETING",
    "idle+cloud+powered_down",
)  # fmt: skip
FLAGGED_TAKE_NONE = (
    "IDLE+DRAIN", "MIXED+DRAIN", "ALLOCATED+DRAIN+COMPLETING", "DOWN+CLOUD+POWERED_DOWN", "DOWN+DRAIN+NOT_RESPONDING",
    "IDLE+MAINTENANCE", "IDLE+MAINTENANCE+RESERVED", "IDLE+RESERVED", "IDLE+BLOCKED", "IDLE+CLOUD+POWERING_DOWN",
    "IDLE+CLOUD+POWER_DOWN", "MIXED+REBOOT_REQUESTED", "IDLE+REBOOT_ISSUED", "IDLE+INVALID_REG", "IDLE+FAIL",
    "IDLE+NOT_RESPONDING", "IDLE+PERFCTRS", "FUTURE", "UNKNOWN+NOT_RESPONDING", "DOWN+DYNAMIC_NORM", "IDLE+EXTERNAL",
)  # fmt: skip
STRANGE = ("?", "", "idle&", "sleeping", "idle+dreaming", "IDLE+DRAIN+WEATHER", "mixed_ctld", "MIXED+", "n/a")


@pytest.mark.parametrize("word", [*" ".join(TAKE_JOBS).split(), *FLAGGED_TAKE_JOBS])
def test_a_node_in_these_states_takes_jobs(word: str) -> None:
    assert takes_jobs(word) is True


@pytest.mark.parametrize("word", [*" ".join(TAKE_NONE).split(), *FLAGGED_TAKE_NONE])
def test_a_node_in_these_states_takes_none(word: str) -> None:
    assert takes_jobs(word) is False


@pytest.mark.parametrize("word", STRANGE)
def test_a_nodes_state_that_no_manual_has_is_unknown_told_and_counts_as_nothing(word: str) -> None:
    assert takes_jobs(word) is (True if word == "MIXED+" else None)  # "+" alone is the mark of completing jobs
    if word == "MIXED+":
        return
    taken = slurm.snapshot([said(f"n1|main|0/4/0/4|8000|0|(null)|gpu:0|{word}|infinite|up|\n")], said(), AT)
    main = taken.partitions["main"]
    assert (main.nodes[0].up, main.cores, main.cores_free) == (False, 0, 0)
    assert taken.strange == (f"node state {word!r}",)


def test_every_mark_is_in_the_table() -> None:
    assert set(MARKS) == {word[-1] for word in " ".join((*TAKE_JOBS, *TAKE_NONE)).split() if not word[-1].isalpha()}


# `job_state_string`: bases and flags, of all releases; SPECIAL_EXIT and others are printed instead of the base.
JOBS = {
    JobState.QUEUED: "PENDING CONFIGURING REQUEUED REQUEUED_CRON REQUEUE_FED REQUEUE_HOLD RESV_DEL_HOLD SPECIAL_EXIT "
    "POWER_UP_NODE"
    " EXPEDITING",
    JobState.RUNNING: "RUNNING SUSPENDED COMPLETING STOPPED SIGNALING STAGE_OUT RESIZING",
    JobState.COMPLETED: "COMPLETED",
    JobState.FAILED: "FAILED TIMEOUT OUT_OF_MEMORY DEADLINE LAUNCH_FAILED RECONFIG_FAIL",
    JobState.CANCELLED: "CANCELLED REVOKED",
    JobState.LOST: "NODE_FAIL BOOT_FAIL PREEMPTED",
}  # fmt: skip


@pytest.mark.parametrize(("word", "state"), [(word, state) for state, words in JOBS.items() for word in words.split()])
def test_every_state_of_a_job_is_one_of_ours(word: str, state: JobState) -> None:
    assert state_of(word) is state and slurm.statuses(said(row(1, word)), AT)["1"].state is state


def test_no_word_is_in_the_code_and_not_in_the_table() -> None:
    assert set(STATES) == set(" ".join(JOBS.values()).split())
    assert set(ENDINGS) == {word for word in STATES if STATES[word].ended}


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("CANCELLED by 1000", JobState.CANCELLED),  # sacct(1): by whom
        ("CANCELLED+", JobState.CANCELLED),  # cut to its width
        ("COMPLETED+", JobState.COMPLETED),
        ("RUNNING,COMPLETING", JobState.RUNNING),  # 23.11: a base with its flags (job_state_string_complete)
        ("COMPLETED,COMPLETING", JobState.RUNNING),  # its nodes are still taken
        ("PENDING,REQUEUED", JobState.QUEUED),
        ("FAILED,LAUNCH_FAILED", JobState.FAILED),
        ("?", JobState.UNKNOWN),
        ("", JobState.UNKNOWN),
        ("WEATHER_HOLD", JobState.UNKNOWN),
        ("RUNNING,WEATHER", JobState.UNKNOWN),
        ("UNINITIALISED", JobState.UNKNOWN),
    ],
)
def test_a_state_may_have_more_to_it(word: str, state: JobState) -> None:
    assert state_of(word) is state


def test_a_jobs_state_that_no_manual_has_is_unknown_told_and_neither_waits_nor_runs_nor_ended() -> None:
    queue = said(row(1, "WEATHER_HOLD", reason="Priority") + row(2, "PENDING", "n/a", reason="Priority"))
    taken = slurm.snapshot([sample("slurm", "sinfo_nodes")], queue, AT)
    assert (taken.partitions["main"].queued_jobs, taken.partitions["main"].running_jobs) == (1, 0)
    assert taken.strange == ("job state 'WEATHER_HOLD'",)
    status = slurm.statuses(queue, AT)["1"]
    assert status.state is JobState.UNKNOWN and not status.state.ended and status.reason == "Priority"


@pytest.mark.parametrize(
    ("word", "up", "strange"),
    [("up", True, ()), ("down", False, ()), ("drain", False, ()), ("inact", False, ()), ("inactive", False, ()),
    ("n/a", False, ()),
     ("unknown", False, ("partition state 'unknown'",))],
)  # fmt: skip
def test_only_a_partition_that_is_up_takes_jobs(word: str, up: bool, strange: tuple[str, ...]) -> None:
    """`_print_avail` in src/sinfo/print.c."""
    taken = slurm.snapshot([said(f"n1|main|0/4/0/4|8000|0|(null)|gpu:0|idle|infinite|{word}|\n")], said(), AT)
    assert (taken.partitions["main"].up, taken.strange) == (up, strange)


def test_nothing_known_is_strange() -> None:
    words = [*" ".join((*TAKE_JOBS, *TAKE_NONE)).split(), *FLAGGED_TAKE_JOBS, *FLAGGED_TAKE_NONE]
    rows = "".join(
        f"n{number}|main|0/4/0/4|8000|0|(null)|gpu:0|{word}|infinite|up|\n" for number, word in enumerate(words)
    )
    jobs = "".join(row(number, word) for number, word in enumerate(" ".join(JOBS.values()).split(), 1))
    assert slurm.snapshot([said(rows)], said(jobs), AT).strange == ()


@pytest.mark.parametrize(("word", "ending"), [("REVOKED", Ending.CANCELLED), ("RECONFIG_FAIL", Ending.BOOT_FAILURE)])
def test_rare_ends_say_why(word: str, ending: Ending) -> None:
    assert ENDINGS[word] is ending


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("n1", "n1"),
        ("n[001-003,07]", "n001 n002 n003 n07"),
        ("n[1-2],m3", "n1 n2 m3"),
        ("a1,b[1-2],c", "a1 b1 b2 c"),
        ("n[1-2]-ib", "n1-ib n2-ib"),
        ("a[1-2]b[3-4]", "a1b3 a1b4 a2b3 a2b4"),  # the last dimension runs first
        ("r[0-1]c[08-09]n3", "r0c08n3 r0c09n3 r1c08n3 r1c09n3"),
        ("n[9-11]", "n9 n10 n11"),
        ("n[098-101]", "n098 n099 n100 n101"),
        ("node-a.example.org", "node-a.example.org"),
        ("[1-2]", "1 2"),
        (" n[1-2] ", "n1 n2"),
        ("", ""),
        ("(null)", ""),
        ("None assigned", ""),
        ("None", ""),
        ("n/a", ""),
        ("n[1", "n[1"),  # what is no host list is a name as it is
        ("bg[000x133]", "bg000x133"),  # boxes of Blue Gene, gone since 20.02
    ],
)
def test_every_form_of_a_host_list_is_read(text: str, names: str) -> None:
    assert list(hosts(text)) == names.split()
    assert first_host(text) == next(iter(names.split()), "")


def test_a_huge_range_costs_only_what_is_taken_of_it() -> None:
    assert list(islice(hosts("n[0-999999999999]"), 2)) == ["n0", "n1"]
    assert first_host("a[1-999999999]b[0001-9999]c[1-99]") == "a1b0001c1"
