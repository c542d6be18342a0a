"""The conformance suite on the embedded centre and on real, unprivileged Slurm. Without Slurm it fails with the install line."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

pytest.register_assert_rewrite("scnet_hub.conformance.suite")

from scnet_hub.centres import Centre, slurm_clusters  # noqa: E402
from scnet_hub.centres import embedded as small  # noqa: E402
from scnet_hub.centres.embedded import EmbeddedCentre, Settings  # noqa: E402
from scnet_hub.centres.slurm_clusters import SlurmCluster  # noqa: E402
from scnet_hub.conformance.suite import *  # noqa: E402, F403
from scnet_hub.conformance.suite import ended, job, runs, wait  # noqa: E402
from scnet_hub.jobs import JobState  # noqa: E402
from scnet_hub.standard.centre import parse_centre  # noqa: E402

SIZE = {"name": "alpha", "nodes": 2, "cores": 4, "memory": 8 * 2**30, "gpus": 2, "gpu_model": "a100"}


@contextmanager
def embedded(home: Path) -> Iterator[str]:
    """Forgets ended jobs at once, so that the suite sees accounting answer for them."""
    centre = EmbeddedCentre(home / "c", Settings(**SIZE, kill_wait=0.5, min_job_age=0, max_walltime=4 * 3600))  # type: ignore[arg-type]
    centre.start()
    try:
        yield small.centre_toml(centre, title="Alpha", python=sys.executable, directory=home / "sessions")
    finally:
        centre.stop()


@contextmanager
def slurm(home: Path) -> Iterator[str]:
    cluster = SlurmCluster(home / "c", **SIZE)  # type: ignore[arg-type]
    try:
        cluster.start()
        yield slurm_clusters.centre_toml(cluster, title="Alpha", python=sys.executable, directory=home / "sessions")
    finally:
        cluster.stop()


KINDS = {"embedded": embedded, "slurm": slurm}


@pytest.fixture(scope="module", params=[pytest.param("embedded"), pytest.param("slurm", marks=[pytest.mark.slurm, pytest.mark.slow])])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def page(kind: str) -> Iterator[str]:
    home = Path(tempfile.mkdtemp(prefix="sc-"))
    try:
        with KINDS[kind](home) as text:
            yield text
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def centre(page: str) -> Centre:
    return Centre.of(parse_centre(page, source="centre.toml"))


@pytest.fixture(scope="module")
def deaf(kind: str, centre: Centre, tmp_path_factory: pytest.TempPathFactory) -> Centre:
    """The same centre with nobody behind its socket or port."""
    way = centre.spec.transport
    if way.kind == "embedded":
        changed = way.model_copy(update={"socket": f"{way.socket}.nowhere"})
    else:
        text = Path(way.environment["SLURM_CONF"]).read_text()
        conf = tmp_path_factory.mktemp("deaf") / "slurm.conf"
        port = next(line for line in text.splitlines() if line.startswith("SlurmctldPort="))
        conf.write_text(
            text.replace(port, f"SlurmctldPort={slurm_clusters.free_ports(1)[0]}").replace("MessageTimeout=5", "MessageTimeout=2")
        )
        changed = way.model_copy(update={"environment": {"SLURM_CONF": str(conf)}})
    return Centre.of(centre.spec.model_copy(update={"transport": changed}))


@pytest.fixture(scope="module")
def account() -> str:
    return ""


@pytest.fixture(scope="module")
def folder(centre: Centre) -> str:
    return f"{centre.spec.session.directory}/conformance"


@pytest.fixture(scope="module")
def shortest(kind: str) -> timedelta:
    return timedelta(seconds=1) if kind == "embedded" else timedelta(minutes=1)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_job_that_must_wait_knows_its_place_and_costs_nothing_when_cancelled(centre: Centre, folder: str) -> None:
    first = await centre.submit(job(centre, folder, "/bin/sleep", "600", nodes=2, cores=6))
    await wait(centre, first, runs)
    second = await centre.submit(job(centre, folder, "/bin/sleep", "600", nodes=2, cores=8))
    third = await centre.submit(job(centre, folder, "/bin/sleep", "600", nodes=2, cores=8))
    await wait(centre, second, lambda status: status.reason in ("Resources", "Priority"))
    loaded = await centre.load()
    assert (loaded.partitions["main"].queued_jobs, loaded.partitions["main"].queued_cores) == (2, 16)
    known = await centre.statuses([second, third])
    assert [(status.state, status.place) for status in known.values()] == [(JobState.QUEUED, 1), (JobState.QUEUED, 2)]
    await centre.cancel([first, second, third])
    for one in (first, second, third):
        await wait(centre, one, ended)
    record = next(iter(await centre.usage([second])))
    assert (record.state, record.cores, record.elapsed, record.started_at) == (JobState.CANCELLED, 0, timedelta(), None)
