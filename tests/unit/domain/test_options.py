"""Tests that a person's input is validated once, where it enters: odd input is refused with a sentence, accepted input
is typed and bounded."""

import base64
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scnet_hub.domain.sessions import requests
from scnet_hub.errors import BadOption


def test_plain_options_become_a_request() -> None:
    request = requests.job_request(
        "ada", {"cores": "4", "memory": "4G", "walltime": "1h30m", "centre": "alpha", "gpus": ""}
    )
    assert (request.person, request.cores, request.memory, request.gpus) == ("ada", 4, 4 * 2**30, 0)
    assert (request.walltime, request.centre, request.kind) == (timedelta(minutes=90), "alpha", "lab")


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"cmd": "id"}, "cmd"),
        ({"exec_prefix": "id;"}, "exec_prefix"),
        ({"cores": "0"}, "cores"),
        ({"cores": -1}, "cores"),
        ({"cores": 1e9}, "cores"),
        ({"cores": True}, "cores"),
        ({"cores": "10**9"}, "cores"),
        ({"gpus": "-1"}, "gpus"),
        ({"memory": "-4G"}, "memory"),
        ({"memory": "9999999T"}, "memory"),
        ({"memory": ["4G"]}, "memory"),
        ({"walltime": "soon"}, "walltime"),
        ({"walltime": "0"}, "walltime"),
        ({"walltime": float("nan")}, "walltime"),
        ({"walltime": float("inf")}, "walltime"),
        ({"walltime": "99999d"}, "walltime"),
        ({"name": "a\n#SBATCH --uid=0"}, "name"),
        ({"name": "x" * 1_000_000}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"centre": "alpha; rm -rf /"}, "centre"),
        ({"partition": "$(id)"}, "partition"),
        ({"project": "../x"}, "project"),
        ({"gpu_model": "a b"}, "gpu_model"),
        ({"nodes": 3, "cores": 1}, "nodes"),
        ({"nodes": 2, "cores": 2, "gpus": 1}, "nodes"),
        ({"kind": "root"}, "kind"),
        ({"kind": {"a": 1}}, "kind"),
    ],
)
def test_odd_options_are_refused_by_name(bad: dict[str, Any], named: str) -> None:
    with pytest.raises(BadOption) as refused:
        requests.job_request("ada", bad)
    assert named in str(refused.value)
    assert len(str(refused.value)) < 300


@given(
    st.dictionaries(
        st.sampled_from(sorted(requests.KNOWN)),
        st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.booleans()),
    )
)
def test_whatever_comes_is_a_bounded_request_or_a_sentence(wild: dict[str, Any]) -> None:
    try:
        request = requests.job_request("ada", wild)
    except BadOption:
        return
    assert 1 <= request.cores <= 100_000 and timedelta(minutes=1) <= request.walltime <= timedelta(days=366)
    assert all("\n" not in text for text in (request.name, request.centre, request.project, request.dataset))


@pytest.mark.parametrize(
    ("argv", "env"),
    [
        ("echo hello", {}),
        ([], {}),
        ([""], {}),
        ([1], {}),
        (["a\0b"], {}),
        (["a"], {"A=B": "c"}),
        (["a"], {"A": 1}),
        (["a"], ["A"]),
        (["x" * 70_000], {}),
        (["\ud800"], {}),
        (["a"], {"A": "\udcff"}),
    ],
)
def test_odd_payloads_are_refused(argv: Any, env: Any) -> None:
    with pytest.raises(BadOption):
        requests.payload("batch", argv, env)


def test_a_payload_is_kept_as_it_is() -> None:
    argv = ["python", "-c", "print('$(id)')\n"]
    assert requests.payload("batch", argv, {"A": "b\nc"}) == {"argv": argv, "env": {"A": "b\nc"}}


def packed(size: int) -> str:
    return base64.b64encode(b"x" * size).decode()


def test_files_are_kept_as_they_came() -> None:
    files = {"train.py": packed(10), "data/in put.csv": packed(0), "数据/a": packed(100)}
    assert requests.payload("batch", ["python", "train.py"], None, files)["files"] == files
    assert "files" not in requests.payload("batch", ["python"], None, {})


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"../x": ""}, "plain relative name"),
        ({"/etc/x": ""}, "plain relative name"),
        ({"a/../../x": ""}, "plain relative name"),
        ({"a//b": ""}, "plain relative name"),
        ({"./a": ""}, "plain relative name"),
        ({"a/": ""}, "plain relative name"),
        ({"..\\x": ""}, "plain relative name"),
        ({"": ""}, "plain relative name"),
        ({"a\nb": ""}, "line breaks"),
        ({"a\0": ""}, "control characters"),
        ({"a\udcff": ""}, "control characters"),
        ({"x" * 201: ""}, "too many"),
        ({"数" * 100: ""}, "over 200 bytes"),
        ({"a": "", "a/b": ""}, "of a file and of a folder"),
        ({"a": "!"}, "base64"),
        ({"a": "é"}, "base64"),
        ({"a": 1}, "base64"),
        ({"a": None}, "base64"),
        (["a"], "mapping"),
        ({str(number): "" for number in range(51)}, "at most 50"),
        ({"a": packed(100_000), "b": packed(40_000)}, "at most 128 KiB in all"),
    ],
)
def test_odd_files_are_refused(files: Any, words: str) -> None:
    with pytest.raises(BadOption, match=words):
        requests.payload("batch", ["true"], None, files)


def test_only_a_batch_job_takes_files() -> None:
    with pytest.raises(BadOption, match="only a batch job"):
        requests.payload("dask", ["python"], None, {"a": ""})
