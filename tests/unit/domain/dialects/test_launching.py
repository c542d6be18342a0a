"""Tests that a job which its scheduler already starts has a node, though it does not count as running yet, and that a job
that waits has none: `services/sessions/first_start.py` tells both apart by it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scnet_hub.domain.dialects import oar_jobs
from scnet_hub.domain.jobs import JobState

from .test_gridengine_states import engine, instance, job, said, xml
from .test_slurm import row, slurm
from .test_slurm import said as printed

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)


def test_grid_engine() -> None:
    (sent,) = engine.statuses(said(xml(instance("", jobs=job("t")))), AT).values()
    assert (sent.state, sent.node) == (JobState.QUEUED, "n1.cluster.example")
    (waits,) = engine.statuses(said(xml(pending=job("qw"))), AT).values()
    assert (waits.state, waits.node) == (JobState.QUEUED, "")


@pytest.mark.parametrize("word", ["toLaunch", "Launching"])
def test_oar(word: str) -> None:
    sent = oar_jobs.status_of({"state": word, "assigned_network_address": ["d1"]}, AT, 0)
    assert (sent.state, sent.node) == (JobState.QUEUED, "d1")
    assert oar_jobs.status_of({"state": "Waiting", "assigned_network_address": []}, AT, 1).node == ""


def test_slurm() -> None:
    found = slurm.statuses(printed(row(1, "CONFIGURING") + row(2, "PENDING", node="")), AT)
    assert [(one.state, one.node) for one in found.values()] == [(JobState.QUEUED, "n1"), (JobState.QUEUED, "")]
