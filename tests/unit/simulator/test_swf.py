"""Tests logs: the values read from them, the values drawn if they are missing, and the refusal of files that are not
logs."""

from __future__ import annotations

import gzip
from pathlib import Path
from random import Random

import pytest

from scnet_hub.errors import BadOption
from scnet_hub.simulator.logs import read
from scnet_hub.simulator.lublin import daily, generated
from scnet_hub.simulator.swf import MODAL, Batch, Site, estimate, sites_of

SAMPLES = Path(__file__).parents[2] / "samples/swf"


def line(
    number: int = 1,
    submitted: int = 0,
    run: int = 100,
    cores: int = 4,
    asked: int = 200,
    partition: int = -1,
    wait: int = 0,
) -> str:
    return f"{number} {submitted} {wait} {run} {cores} -1 -1 {cores} {asked} -1 1 1 1 -1 1 {partition} -1 -1"


def site(*lines: str) -> Site:
    return sites_of(lines, "log", Random(1))[0]


def test_a_real_log_has_its_machine_and_its_estimates() -> None:
    (hpc2n,) = read(SAMPLES / "hpc2n-2002-300.swf", Random(1))
    assert (hpc2n.name, hpc2n.cores) == ("hpc2n-2002-300", 240)
    assert hpc2n.jobs[0] == Batch(0.0, 30, 31405.0, 37980.0)
    assert all(job.run <= job.estimate and 0 < job.cores <= 240 for job in hpc2n.jobs)
    assert all(early.submitted <= late.submitted for early, late in zip(hpc2n.jobs, hpc2n.jobs[1:], strict=False))


def test_a_log_without_estimates_gets_round_ones_from_its_seed() -> None:
    one, same, other = (read(SAMPLES / "lublin-256-200.swf", Random(seed))[0] for seed in (1, 1, 2))
    assert one == same != other
    assert all(job.run <= job.estimate for job in one.jobs) and {
        job.estimate for job in one.jobs if job.run < 7200
    } <= set(MODAL)
    assert one.cores == 256  # its header has MaxNodes only


def test_a_gzipped_log_is_the_same_whatever_its_name(tmp_path: Path) -> None:
    plain = SAMPLES / "hpc2n-2002-300.swf"
    for name in ("hpc2n-2002-300.swf.gz", "hpc2n-2002-300.swf"):
        (tmp_path / name).write_bytes(gzip.compress(plain.read_bytes()))
        assert read(tmp_path / name, Random(1)) == read(plain, Random(1))


def test_further_columns_and_other_comments_are_left_alone() -> None:
    assert site(line() + " 77 abc 3.5", "# a comment", "", line(2, 60)).jobs == (
        Batch(0, 4, 100, 200),
        Batch(60, 4, 100, 200),
    )


def test_what_never_ran_is_left_out_and_the_rest_is_put_in_order() -> None:
    log = site(line(1, 500), line(2, 400, run=-1), line(3, 300), line(4, 450, cores=-1), line(5, 100, run=0))
    assert [job.submitted for job in log.jobs] == [0, 200]


def test_processors_asked_for_stand_in_for_those_used() -> None:
    assert site("1 0 0 10 -1 -1 -1 8 60 -1 1 1 1 -1 1 -1 -1 -1").jobs[0].cores == 8


def test_without_a_header_the_machine_is_as_large_as_it_was_full() -> None:
    assert site(line(1, 0, run=100, cores=4), line(2, 50, cores=6), line(3, 100, cores=2)).cores == 10


def test_runs_are_cut_at_two_days_and_estimates_are_never_below_a_run() -> None:
    job = site(line(run=10**6, asked=50)).jobs[0]
    assert (job.run, job.estimate) == (172800, 172800)
    assert estimate(100, -1, Random(1)) in MODAL


def test_partitions_can_be_sites_the_busiest_first() -> None:
    lines = [line(number, number * 10, cores=1 + number % 2 * 7, partition=number % 2) for number in range(100)]
    few = [line(200, 5, partition=7)]
    sites = sites_of([*lines, *few], "grid", Random(1), by_partition=True)
    assert [one.name for one in sites] == ["grid/1", "grid/0"] and len(sites[0].jobs) == 50


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "bad has no job that ran"),
        ("; MaxProcs: 8\n", "bad has no job that ran"),
        (
            "time,user,cores\n1,ada,4\n",
            "bad, line 1: this is not the Standard Workload Format (1 columns instead of 18)",
        ),
        (
            line() + "\n" + line().replace("100", "x1"),
            "bad, line 2: this is not the Standard Workload Format ('x1' is not a number)",
        ),
        (line(run=10**15), "line 1"),
        (line().replace(" 100 ", " nan "), "'nan' is out of range"),
        ("\x00\x01\x02\xff" * 40, "bad, line 1"),
    ],
)
def test_what_is_no_log_gets_a_sentence_with_file_and_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bad.swf").write_bytes(text.encode("latin-1"))
    with pytest.raises(BadOption) as caught:
        read(tmp_path / "bad.swf", Random(1))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_files_that_cannot_be_read_get_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"1 2 3 " * 5000)[:60])
    (tmp_path / "junk.gz").write_bytes(b"\x1f\x8bjunk of some length")
    for name in ("cut.gz", "junk.gz", "none.swf", "."):
        with pytest.raises(BadOption, match="can't be"):
            read(tmp_path / name, Random(1))


def test_made_up_machines_have_their_model_s_shape() -> None:
    made = generated("made", 256, 3000, Random(1))
    sizes = [job.cores for job in made.jobs]
    assert made == generated("made", 256, 3000, Random(1))
    assert 0.25 < sum(size == 1 for size in sizes) / 3000 < 0.40
    assert sum(size & (size - 1) == 0 for size in sizes) / 3000 > 0.75
    runs = sorted(job.run for job in made.jobs)
    assert runs[900] < 600 and runs[2800] > 7200 and runs[-1] <= 172800
    assert max(sizes) <= 256 and abs(sum(daily()) / 48 - 1) < 0.01
