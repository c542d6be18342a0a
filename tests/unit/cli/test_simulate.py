"""Tests `scnet simulate`: its document, and its refusals."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from scnet_hub.cli import cli

SAMPLE = str(Path(__file__).parents[2] / "samples/swf/hpc2n-2002-300.swf")
SMALL = ("simulate", "--trace", SAMPLE, "--centres", "2", "--days", "0.2")
TOLD = {
    "wait_mean_s", "wait_p50_s", "wait_p95_s", "wait_p99_s", "started_60s", "submissions_per_request",
    "duplicate_starts_per_request", "failed_start_share", "background_wait_mean_s", "gave_up",
}  # fmt: skip


def test_the_document_has_every_number_of_every_policy() -> None:
    result = CliRunner().invoke(cli, [*SMALL, "--policies", "random,earliest_start", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["requests"] > 0 and list(document["policies"]) == ["random", "earliest_start"]
    assert all(set(told) == TOLD for told in document["policies"].values())


def test_the_plot_is_a_picture_with_a_line_for_each_policy(tmp_path: Path) -> None:
    picture = tmp_path / "waits.svg"
    result = CliRunner().invoke(cli, [*SMALL, "--policies", "random,scnet", "--plot", str(picture)])
    assert result.exit_code == 0, result.output
    root = ElementTree.parse(picture).getroot()
    words = [text.text or "" for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert any(word.startswith("scnet: ") for word in words) and any(word.startswith("random: ") for word in words)
    lines = [line for line in root.iter("{http://www.w3.org/2000/svg}path") if line.get("fill") == "none"]
    assert [float(line.get("stroke-width", "0")) for line in lines] == [2, 4]  # the product's last and bold
    points = re.findall(r"[ML]([\d.]+) ([\d.]+)", "".join(line.get("d", "") for line in lines))
    _, _, width, height = map(float, root.get("viewBox", "").split())
    assert all(0 < float(x) < width and 0 < float(y) < height for x, y in points) and len(points) > 400
    missing = CliRunner().invoke(cli, [*SMALL, "--policies", "random", "--plot", str(tmp_path / "no" / "waits.svg")])
    assert missing.exit_code == 1 and "can't be written" in missing.stderr


def test_words_are_a_table() -> None:
    result = CliRunner().invoke(cli, [*SMALL, "--policies", "round_robin"])
    assert "requests; waits in seconds" in result.stdout and "round_robin" in result.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--centres", "0"), "--centres"),
        (("--policies", "guess"), "Unknown policy 'guess'"),
        (("--load", "warm"), "--load"),
        (("--days", "0"), "--days"),
        (("--snapshot-age", "-1"), "--snapshot-age"),
    ],
)
def test_wrong_usage_is_exit_code_2(options: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(cli, ["simulate", *options])
    assert result.exit_code == 2 and said in result.stderr and "Traceback" not in result.output


def test_what_cannot_be_replayed_is_exit_code_1_and_a_problem_in_json(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("job,cores\n1,2\n")
    words = CliRunner().invoke(cli, ["simulate", "--trace", str(tmp_path / "log.csv")])
    assert words.exit_code == 1 and "line 1: this is not the Standard Workload Format" in words.stderr
    problem = CliRunner().invoke(cli, ["simulate", "--trace", str(tmp_path / "none"), "--json"])
    assert problem.exit_code == 1 and json.loads(problem.stdout)["code"] == "bad-option"
