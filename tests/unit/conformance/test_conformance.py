"""The conformance suite on the embedded centre and on unprivileged Slurm. Without Slurm it fails with the install line.

`test_conformance_real.py` runs the same on real centres; what differs there is said by the fixtures `kind`, `page`,
`means`, `account`.
"""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytest.register_assert_rewrite("scnet_hub.conformance.suite")

from scnet_hub.adapters.centre import Centre  # noqa: E402
from scnet_hub.adapters.transport.transport import Means  # noqa: E402
from scnet_hub.conformance.suite import *  # noqa: E402, F403
from scnet_hub.conformance.suite import MIB, PATIENCE, ended, job, record_of, runs, wait  # noqa: E402
from scnet_hub.demo import embedded as small  # noqa: E402
from scnet_hub.demo import slurm_clusters  # noqa: E402
from scnet_hub.demo.embedded import EmbeddedCentre, Settings  # noqa: E402
from scnet_hub.demo.slurm_clusters import SlurmCluster  # noqa: E402
from scnet_hub.domain.jobs import JobState  # noqa: E402
from scnet_hub.domain.standard.centre import parse_centre  # noqa: E402

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
# Slurm counts minutes
SHORTEST = {
    "embedded": timedelta(seconds=1),
    "c": timedelta(seconds=5),
    "d": timedelta(seconds=20),
}


@pytest.fixture(
    scope="module",
    params=["embedded", pytest.param("slurm", marks=[pytest.mark.slurm, pytest.mark.slow])],
)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def page(kind: str) -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="sc-"))
    try:
        with KINDS[kind](home) as text:
            (home / "centre.toml").write_text(text)
            yield home / "centre.toml"
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def means(page: Path) -> Means:
    return Means(folder=page.parent)


@pytest.fixture(scope="module")
def centre(page: Path, means: Means) -> Centre:
    return Centre.of(parse_centre(page.read_text(), source=str(page)), means)


@pytest.fixture(scope="module")
def deaf(kind: str, centre: Centre, means: Means, tmp_path_factory: pytest.TempPathFactory) -> Centre:
    """The same centre with nobody behind its socket or port."""
    way = centre.spec.transport
    if way.kind == "embedded":
        changed = way.model_copy(update={"socket": f"{way.socket}.nowhere"})
    elif way.kind == "ssh":
        changed = way.model_copy(update={"port": 1})
    else:
        text = Path(way.environment["SLURM_CONF"]).read_text()
        conf = tmp_path_factory.mktemp("deaf") / "slurm.conf"
        port = next(line for line in text.splitlines() if line.startswith("SlurmctldPort="))
        conf.write_text(
            text.replace(port, f"SlurmctldPort={slurm_clusters.free_ports(1)[0]}").replace(
                "MessageTimeout=5", "MessageTimeout=2"
            )
        )
        changed = way.model_copy(update={"environment": {"SLURM_CONF": str(conf)}})
    return Centre.of(centre.spec.model_copy(update={"transport": changed}), means)


@pytest.fixture(scope="module")
def account() -> str:
    return ""


@pytest.fixture(scope="module")
def folder(centre: Centre, account: str) -> str:
    return f"{centre.spec.session.directory.format(account=account)}/conformance"


@pytest.fixture(scope="module")
def shortest(kind: str) -> timedelta:
    return SHORTEST.get(kind, timedelta(minutes=1))


async def fills_holes(centre: Centre, kind: str) -> None:
    """While jobs wait: what the scheduler tells of its next look for holes beside them, and of the places that it
    keeps."""
    looks = {"slurm": (2, 3), "a": (2, 3), "b": (2, 3), "c": (1, 1)}.get(kind)  # seconds from one to the next
    async with asyncio.timeout(PATIENCE):  # none has been told yet, before Slurm's first
        while True:
            loaded = (await centre.load()).partitions[centre.spec.partition[0].name]
            if loaded.backfill or not looks:
                break
            await asyncio.sleep(0.5)
    assert loaded.reserves == (10 if kind == "c" else None)
    if not looks:
        assert loaded.backfill is None
        return
    assert loaded.backfill
    now = datetime.now(UTC)
    assert timedelta(seconds=-2) < now - loaded.backfill.last < timedelta(minutes=3)
    assert timedelta(seconds=looks[0]) <= loaded.backfill.every <= timedelta(seconds=looks[1])
    assert now < loaded.backfill.after(now) <= now + loaded.backfill.every


@pytest.mark.asyncio(loop_scope="module")
async def test_a_job_that_must_wait_knows_its_place_and_costs_nothing_when_cancelled(
    centre: Centre, folder: str, account: str, kind: str
) -> None:
    offered = centre.spec.partition[0]
    # the overdue job may still have a core somewhere
    most = {
        "cores": offered.cores - 1,
        "memory": offered.cores * MIB,
    }
    ids = []
    try:
        for _ in range(offered.nodes):
            ids.append(await centre.submit(job(centre, folder, "/bin/sleep", "600", **most), account=account))
            await wait(centre, ids[-1], runs)
        for place in (1, 2):
            ids.append(await centre.submit(job(centre, folder, "/bin/sleep", "600", **most), account=account))
            await wait(
                centre, ids[-1], lambda status, place=place: status.state is JobState.QUEUED and status.place == place
            )
        loaded = (await centre.load()).partitions[offered.name]
        assert (loaded.queued_jobs, loaded.queued_cores) == (2, 2 * (offered.cores - 1))
        assert loaded.cores_free <= offered.nodes
        await fills_holes(centre, kind)
    finally:
        await centre.cancel(ids, account=account)
    for one in ids:
        await wait(centre, one, ended)
    record = await record_of(centre, ids[-2])
    assert (record.state, record.cores, record.elapsed, record.started_at) == (JobState.CANCELLED, 0, timedelta(), None)
