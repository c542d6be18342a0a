"""Every spelling of a count of accelerators in Slurm 20.11 to 25.11, each with where it stands: `src/interfaces/gres.c`
(before 23.02 `src/common/gres.c`), the manuals, and what a Slurm 22.05 with GPUs and DCUs printed
(`tests/samples/slurm/*_gres.txt`)."""

import pytest

from scnet_hub.domain.commands import Completed
from scnet_hub.domain.dialects import slurm_gres
from scnet_hub.domain.dialects.slurm import Slurm
from scnet_hub.domain.dialects.slurm_backfill import Cycle
from scnet_hub.domain.dialects.slurm_site import Site, site
from scnet_hub.domain.jobs import JobSpec, JobState
from scnet_hub.errors import Garbled

from .samples import said, sample, shown, shown_sample
from .test_slurm import AT

NAMES = ("gpu", "dcu", "npu")
SPELLINGS = [
    # a node's list: gres_node_config_build_str
    ("gpu:8", 8, ""),
    ("gpu:a100:4(S:0-1)", 4, "a100"),
    ("gpu:3090:8(S:0-1)", 8, "3090"),  # a model of digits only
    ("gpu:2080ti:4", 4, "2080ti"),
    ("gpu:1080:4(S:0)", 4, "1080"),
    ("gpu:a100:2,gpu:v100:2", 4, "a100"),
    ("gpu:a100:4(S:0,2),shard:8(S:0,2)", 4, "a100"),  # mps and shard are parts of a device
    ("gpu:2,mps:400", 2, ""),
    ("gpu:3g.40gb+me:1", 1, "3g.40gb+me"),  # a MIG profile
    ("gpu:nvidia_a100-sxm4-40gb_1g.5gb:7(S:0)", 7, "nvidia_a100-sxm4-40gb_1g.5gb"),
    ("gpu:a100:no_consume:4(S:0-1)", 4, "a100"),
    ("gpu:no_consume:4", 4, ""),
    ("gpu:4K", 4096, ""),  # _get_suffix: by 1024
    ("dcu:z100:4", 4, "z100"),
    ("npu:910b:8(S:0-3)", 8, "910b"),
    ("craynetwork:4,gpu:1", 1, ""),
    ("bandwidth:lustre:no_consume:4G", 0, ""),
    ("(null)", 0, ""),
    ("", 0, ""),
    # what is taken of it: gres_g_node_state
    ("gpu:a100:2(IDX:0,2-3)", 2, "a100"),
    ("gpu:a100:0(IDX:N/A)", 0, "a100"),
    ("gpu:(null):2(IDX:0-1)", 2, ""),  # devices without a Type
    ("gpu:0,dcu:z100:3,mps:0", 3, "z100"),
    ("gpu:a100:1(IDX:1),shard:a100:3(0/8,3/8)", 1, "a100"),
    # what a job asked for: squeue %b and tres-per-*, scontrol TresPer*
    ("gpu:2", 2, ""),  # 20.11, as it was typed
    ("gpu", 1, ""),
    ("gpu:a100", 1, "a100"),
    ("gres:gpu:2", 2, ""),  # 21.08 to 22.05
    ("gres:gpu:a100:2", 2, "a100"),
    ("gres:gpu:a100:1,gres:gpu:v100:2", 3, "a100"),
    ("gres:dcu", 1, ""),
    ("gres/gpu:2", 2, ""),  # 23.02 and later
    ("gres/gpu:3090:2", 2, "3090"),
    ("gres/gpu=2", 2, ""),
    ("cpu=4,gres/gpu=1", 1, ""),  # 24.05: TresPerTask
    ("cpu:4,gres/gpu:1", 1, ""),
    ("N/A", 0, ""),
    # trackable resources: sacct AllocTRES and ReqTRES, squeue tres-alloc, scontrol TRES and AllocTRES
    ("billing=2,cpu=2,gres/gpu=2,mem=500M,node=1", 2, ""),
    ("billing=2,cpu=2,gres/gpu:a100=2,gres/gpu=2,mem=1G,node=1", 2, "a100"),  # both: not four
    ("cpu=2,gres/gpu=4,gres/gpu:a100=2,gres/gpu:v100=2", 4, "a100"),
    ("cpu=2,gres/gpu=4,gres/gpu:a100=3", 4, "a100"),  # of one of them the model is not tracked
    ("cpu=2,gres/gpu:a100=2", 2, "a100"),
    ("cpu=2,gres/gpu:3090=2", 2, "3090"),
    ("cpu=1,gres/gpu:3g.40gb+me=1,gres/gpu=1", 1, "3g.40gb+me"),
    ("cpu=1,gres/dcu=4,gres/gpu=2", 6, ""),
    ("cpu=1,gres/gpumem=4G,gres/gpuutil=90,mem=1G", 0, ""),
    ("cpu=1,gres/shard=4,gres/mps=50,license/matlab=2", 0, ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "number", "model"), SPELLINGS)
def test_every_spelling_of_a_count_is_read(text: str, number: int, model: str) -> None:
    kinds = slurm_gres.parse(text)
    assert (slurm_gres.total(kinds, NAMES), slurm_gres.model_of(kinds, NAMES)) == (number, model)


def test_the_models_of_trackable_resources_are_counted_each() -> None:
    kinds = slurm_gres.parse("cpu=2,gres/gpu=5,gres/gpu:a100=3,gres/gpu:v100=0,gres/dcu:z100=2,gres/npu=0")
    assert slurm_gres.models(kinds, NAMES) == (("a100", 3), ("z100", 2)) and slurm_gres.total(kinds, NAMES) == 7


@pytest.mark.parametrize("text", ["gres/gpu=-1", "gres/gpu:a100=x", "gres/gpu=", "gres/gpu=1e3"])
def test_a_count_that_is_charged_for_and_no_number_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="not a whole number"):
        slurm_gres.parse(text)


@pytest.mark.parametrize(
    ("node", "job", "task", "socket", "gpus"),
    [
        ("gres:gpu:2", "N/A", "N/A", "N/A", 4),  # --gres and --gpus-per-node, of two nodes
        ("N/A", "gres:gpu:2", "N/A", "N/A", 2),  # --gpus
        ("N/A", "N/A", "gres/gpu:1", "N/A", 6),  # --gpus-per-task, of six tasks
        ("N/A", "N/A", "N/A", "gres:gpu:1", 2),
        ("gres:gpu:2", "gres:gpu:4", "N/A", "N/A", 4),  # --gpus=4 --gpus-per-node=2 says the same twice
        ("gres/gpu=broken", "N/A", "(null)", "", 0),
    ],
)
def test_what_a_job_asked_for_is_that_of_all_its_nodes(node: str, job: str, task: str, socket: str, gpus: int) -> None:
    assert slurm_gres.asked(node, job, task, socket, nodes=2, tasks=6, names=NAMES) == gpus


def probed(*, tracked: str = "") -> Slurm:
    """A Slurm 22.05 of two partitions with GPUs, one of them with a model of digits, and one with DCUs."""
    config = sample("slurm", "scontrol_config_untracked").stdout.replace("vmem,pages", f"vmem,pages{tracked}")
    return Slurm("sacct").probed([said(config), sample("slurm", "sinfo_site")])


def test_accelerators_of_any_name_are_counted_on_nodes_and_in_the_queue() -> None:
    taken = probed().snapshot([sample("slurm", "sinfo_gres")], sample("slurm", "squeue_arrays"), AT).partitions
    seen = {node.name: (node.gpus, node.gpus_used, node.gpu_model) for part in taken.values() for node in part.nodes}
    assert seen == {"g1": (2, 2, "3090"), "g2": (2, 1, ""), "c1": (4, 3, "z100")}
    # --gres=dcu:z100:2, --gres=dcu, two tasks of an array
    assert [one.gpus for one in taken["dcu"].running] == [
        2,
        1,
        0,
        0,
    ]
    assert [one.gpus for one in taken["main"].running] == [0, 2, 1]  # none, --gpus=2, --gpus-per-node=1
    # --gres=gpu:3090:1, two tasks of --gpus-per-task=1
    assert [one.gpus for one in taken["main"].waiting][:2] == [
        1,
        2,
    ]


@pytest.mark.parametrize(
    ("partition", "model", "words"),
    [("dcu", "z100", "dcu:z100:2"), ("dcu", "", "dcu:2"), ("main", "3090", "gpu:3090:2"), ("main", "", "gpu:2")],
)
def test_a_job_asks_for_what_its_partition_has(partition: str, model: str, words: str) -> None:
    spec = JobSpec(name="s-1", partition=partition, argv=("true",), gpus=2, gpu_model=model)
    assert f"--gres={words}" in probed().submit(spec).argv


def test_the_centres_page_may_name_its_accelerators() -> None:
    named = Slurm("sacct", accelerators=("vpu",)).probed([said(), said("P|main|gpu:2,vpu:x1:4|NO|8|1|4|2|.\n")])
    assert named.site.accelerators == ("vpu",)
    assert "--gres=vpu:1" in named.submit(JobSpec(name="s-1", partition="main", argv=("true",), gpus=1)).argv


def test_accelerators_are_known_by_their_usual_names_or_by_what_nodes_have() -> None:
    assert site("GresTypes = gpu,mps,dcu,bandwidth\n", "").accelerators == ("gpu", "dcu")
    assert site("", "P|ai|npu:910b:8(S:0-3)|NO|8|1|4|2|.\n").accelerators == ("npu",)
    assert site("", "").accelerators == site("GresTypes = (null)\n", "").accelerators == ("gpu",)


# ---- accounting that does not tell of them


def accounted(
    dialect: Slurm, *, tres: str = "billing=2,cpu=2,mem=500M,node=1", submit: str = "", job: str = "77"
) -> Completed:
    """A row of sacct as it was captured on Slurm 22.05 of a job of two GPUs, without gres/gpu in
    AccountingStorageTRES."""
    asked = dialect.usage(["77"], "w")
    fields = next(word for word in asked.argv if word.startswith("--format=")).removeprefix("--format=").split(",")
    facts = {
        "JobIDRaw": job, "State": "COMPLETED", "AllocCPUS": "2", "AllocTRES": tres, "ReqMem": "500M",
        "Submit": "1795953000", "Start": "1795953600", "End": "1795957200", "ElapsedRaw": "3600", "TotalCPU": "0:1",
        "NodeList": "b1", "ExitCode": "0:0", "Partition": "batch", "JobName": "scnet-a-1", "SubmitLine": submit,
    }  # fmt: skip
    return Completed(asked, 0, "|w|".join(facts[field] for field in fields) + "\n", "")


@pytest.mark.parametrize(
    "submit",
    [
        "sbatch --gres=gpu:2", "sbatch --gres gpu:a100:2 x.sh", "sbatch --gpus=2", "sbatch -G 2 x.sh", "sbatch -G2",
        "sbatch --gpus-per-node=a100:1", "sbatch --gpus-per-task 1", "sbatch "
        "--tres-per-task=gres/gpu:1", "sbatch --gres=gpu",
        "sbatch --gres=dcu:z100:1", "sbatch --wrap='x",
    ],
)  # fmt: skip
def test_a_job_whose_gpus_accounting_does_not_tell_is_never_one_without(submit: str) -> None:
    untracked = probed()
    record = untracked.records(accounted(untracked, submit=submit))[0]
    asks = "--wrap" not in submit
    assert ("gres/gpu, gres/dcu to AccountingStorageTRES" in record.trouble) is asks
    assert (record.state, record.cores, record.elapsed.seconds) == (JobState.COMPLETED, 2, 3600), (
        "what else is told of it holds"
    )


def test_jobs_without_gpus_are_told_as_ever() -> None:
    untracked = probed()
    for submit in (
        "sbatch --cpus-per-task=2 --gres=shard:2",
        "sbatch --gres=none",
        "sbatch -J gpu:2 x.sh",
        "sbatch --wrap=a\nb",
        "",
    ):
        assert untracked.records(accounted(untracked, submit=submit))[0].trouble == ""


def test_what_accounting_tracks_needs_no_other_word() -> None:
    tracked = probed(tracked=",gres/gpu,gres/dcu")
    assert tracked.site.untracked == () and "SubmitLine" not in " ".join(tracked.usage(["77"]).argv)
    record = tracked.records(accounted(tracked, tres="cpu=2,gres/dcu=1,gres/gpu:3090=2,gres/gpu=2,mem=1G,node=1"))[0]
    assert (record.gpus, record.gpu_models, record.trouble) == (3, (("3090", 2),), "")


@pytest.mark.parametrize(
    ("config", "untracked"),
    [
        ("AccountingStorageTRES = cpu,mem,gres/gpu,gres/gpu:a100\nGresTypes = gpu,mps\n", ()),
        ("AccountingStorageTRES = cpu,mem\nGresTypes = gpu\n", ("gpu",)),
        (
            "AccountingStorageTRES = cpu,mem,gres/gpu:a100\nGresTypes = gpu\n",
            ("gpu",),
        ),  # tells only of jobs that named the model
        ("AccountingStorageTRES = cpu,mem,gres/gpu\nGresTypes = gpu,dcu\n", ("dcu",)),
        ("AccountingStorageTRES = cpu,mem\nGresTypes = (null)\n", ()),  # it has none
        ("", ()),  # who may not know the configuration is told nothing
    ],
)
def test_which_accelerators_accounting_leaves_out_is_slurms_configuration(
    config: str, untracked: tuple[str, ...]
) -> None:
    assert site(config, "").untracked == untracked
    assert probed().snapshot([sample("slurm", "sinfo_gres")], said(), AT).untracked == ("gpu", "dcu")


@pytest.mark.parametrize(("version", "known"), [("20.11.9", False), ("21.08.0", True), ("25.05.1", True), ("", True)])
def test_what_was_typed_is_asked_for_where_accounting_knows_it(version: str, known: bool) -> None:
    old = Slurm(
        "sacct", Cycle(), site(f"GresTypes = gpu\nAccountingStorageTRES = cpu\nSLURM_VERSION = {version}\n", "")
    )
    assert ("SubmitLine" in old.usage(["1"]).argv[-1]) is known
    assert old.records(accounted(old))[0].gpus == 0


def test_accounting_of_a_later_slurm_is_read_alike() -> None:
    """Captured on 24.11.5, which tracked GPUs as a whole and by model, with times as people read them."""
    found = {one.job_id: one for one in Slurm("sacct").records(sample("slurm", "sacct_24_11"))}
    assert len(found) == 22 and not [one for one in found.values() if one.trouble]
    assert (found["3"].cores, found["3"].gpus, found["3"].gpu_models) == (2, 1, (("a100", 1),))
    assert (found["21"].cores, found["21"].memory) == (0, 32 * 2**50)


def test_rows_that_are_only_doubted_are_an_answer() -> None:
    untracked = probed()
    with pytest.raises(Garbled):
        untracked.records(accounted(untracked, submit="sbatch --gpus=2", job="x"))


def test_the_controller_tells_gpus_by_what_was_asked_for() -> None:
    """Slurm 22.05 without slurmdbd; 23.11 says AllocTRES where older ones say TRES."""
    bare = Slurm("scontrol", Cycle(), site("GresTypes = gpu,dcu\n", ""))
    found = {one.job_id: one.gpus for one in bare.records(shown_sample("scontrol_jobs_gres"))}
    assert found == {"1": 0, "2": 2, "4": 1, "6": 2, "14": 0}  # none, --gpus=2, --gpus-per-node=1, --gres=dcu:z100:2
    newer = (
        sample("slurm", "scontrol_jobs")
        .stdout.splitlines()[0]
        .replace(" TRES=", " ReqTRES=cpu=1 AllocTRES=")
        .replace("gpu=1", "gpu=2")
    )
    record = bare.records(shown(newer))[0]
    assert (record.gpus, record.memory) == (2, 2**30)
    assert Site().accelerators == ("gpu",)
