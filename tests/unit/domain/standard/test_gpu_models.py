"""A GPU's model may be digits only or a MIG profile with a plus sign: the same letters from the page to the charge and
the usage event."""

from __future__ import annotations

import re

import pytest

from scnet_hub.domain.dialects.slurm import Slurm
from scnet_hub.domain.jobs import JobSpec
from scnet_hub.domain.sessions import requests
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.domain.standard.usage import schema
from scnet_hub.errors import BadOption, SpecError

PAGE = """
id = "alpha"
name = "Alpha"
{top}
transport = {{ kind = "local" }}
session = {{ python = "/usr/bin/python3", directory = "/s" }}
[[partition]]
name = "gpu"
cores = 64
gpus = 4
gpu_model = "{model}"
tariff = {{ gpu_hour = {{ "{model}" = 20, other = 10 }} }}
"""


@pytest.mark.parametrize("model", ["a100", "3090", "3g.40gb+me", "nvidia_a100-sxm4-40gb"])
def test_a_model_is_the_same_on_the_page_in_a_request_at_slurm_and_in_an_event(model: str) -> None:
    offered = parse_centre(PAGE.format(top="", model=model), source="a").partition[0]
    assert (offered.gpu_model, offered.gpu_price) == (model, 20.0)
    assert requests.job_request("ada", {"gpus": 1, "gpu_model": model}).gpu_model == model
    assert (
        f"--gres=gpu:{model}:1"
        in Slurm("sacct").submit(JobSpec(name="s-1", partition="gpu", argv=("true",), gpus=1, gpu_model=model)).argv
    )
    meters = schema()["$defs"]["MeterReading"]["properties"]["Meter"]["pattern"]  # type: ignore[index, call-overload]
    assert re.search(str(meters), f"gpu-second:{model}")


@pytest.mark.parametrize("model", ["a100,gpu:9", "a b", "a100\n", "../x", "a:1"])
def test_no_model_can_add_a_word(model: str) -> None:
    with pytest.raises(BadOption, match="gpu_model"):
        requests.job_request("ada", {"gpus": 1, "gpu_model": model})
    with pytest.raises(SpecError, match=r"gpu_model|not valid TOML"):
        parse_centre(PAGE.format(top="", model=model), source="a")


def test_a_page_may_name_its_accelerators() -> None:
    assert parse_centre(PAGE.format(top='accelerators = ["dcu", "my_npu"]', model="z100"), source="a").accelerators == [
        "dcu",
        "my_npu",
    ]
    with pytest.raises(SpecError, match="accelerators"):
        parse_centre(PAGE.format(top='accelerators = ["DCU 2"]', model="z100"), source="a")
