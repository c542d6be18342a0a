"""Tests where a further copy of a session may go, by its request alone."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from scnet_hub.domain.sessions import movable
from tests.builders.copies import session_copy

HERE = "north"


def where(
    kind: str = "batch", argv: tuple[str, ...] = ("true",), env: Any = None, files: Any = None, **request: str
) -> str | None:
    asked = {"centre": "", "second_chance": "auto", **request}
    row = session_copy(kind=kind, request=asked, payload={"argv": list(argv), "env": env or {}, "files": files or {}})
    return movable.where(row.session, HERE)


@pytest.mark.parametrize("kind", ["lab", "dask", "batch"])
def test_the_owner_decides_and_else_a_named_centre_does(kind: str) -> None:
    assert where(kind) == movable.ANYWHERE
    assert where(kind, centre="south") == "south"
    assert where(kind, centre="south", second_chance="yes") == movable.ANYWHERE
    assert where(kind, second_chance="no") is None and where(kind, centre="south", second_chance="no") is None


def test_a_request_from_before_the_field_moves_as_by_default() -> None:
    row = session_copy(kind="dask", request={"centre": ""}, payload={})
    assert movable.where(row.session, HERE) == movable.ANYWHERE


@pytest.mark.parametrize(
    "argv",
    [
        ("/opt/sim/run",),
        ("python", "train.py", "--data=/scratch/ada/x"),
        ("python", "train.py", "~/data"),
        ("gcc", "-I/opt/include", "x.c"),
        ("bash", "-c", "cat /data/x | sort > y"),
        ("bash", "-c", 'cat "$HOME/x"'),
        ("bash", "-c", "cd ${HOME}; ls"),
        ("python", "-c", "open('/home/ada/x')"),
        ("sh", "-c", "echo x >/lustre/y"),
        ("/usrlocal/bin/x",),
        ("python", "../shared/train.py"),
        ("bash", "-c", "cd $SCRATCH/run"),
    ],
)
def test_a_job_that_names_a_path_of_its_centre_stays_there(argv: tuple[str, ...]) -> None:
    assert where(argv=argv) == HERE and where(argv=argv, second_chance="yes") == movable.ANYWHERE
    assert where(env={"ARGUMENTS": " ".join(argv)}) == HERE
    assert where("dask", argv) == movable.ANYWHERE  # of our own making, the same at all centres


@pytest.mark.parametrize(
    "argv",
    [
        ("python", "train.py", "src/model.py", "./x", "a..b", "1/2", "a~b"),
        ("curl", "https://example.org/data.csv"),
        ("/usr/bin/env", "python"),
        ("/bin/sh", "-c", "ls >/dev/null 2>&1; ls /tmp /proc/self"),
        ("true", "", "é"),
    ],
)
def test_other_words_keep_no_job_at_its_centre(argv: tuple[str, ...]) -> None:
    assert where(argv=argv) == movable.ANYWHERE


def test_a_script_that_was_sent_along_is_read_too() -> None:
    def sent(text: str) -> str | None:
        return where(argv=("bash", "run.sh"), files={"run.sh": base64.b64encode(text.encode()).decode()})

    assert sent("#!/bin/bash\ncd /home/ada/data\n") == HERE
    assert sent("#!/bin/bash\npython train.py --url https://example.org/x\n") == movable.ANYWHERE
