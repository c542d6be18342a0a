"""Tests stock batchspawner's SlurmSpawner, unchanged, on the embedded centre: how it sees a job, and at which address
it finds the job."""

from __future__ import annotations

import os
import pwd
import shlex
import socket
from collections.abc import Iterator

import pytest
from batchspawner import SlurmSpawner
from jupyterhub import orm
from jupyterhub.objects import Hub, Server
from jupyterhub.user import User

from scnet_hub.demo.embedded import EmbeddedCentre
from tests.unit.adapters.centres.test_embedded import call, crash, state, submit, until


@pytest.fixture
def spawner(embedded: EmbeddedCentre) -> Iterator[SlurmSpawner]:
    """As a hub makes one for its user, with the centre's commands on PATH."""
    db = orm.new_session_factory("sqlite:///:memory:")()
    db.add(orm.User(name=pwd.getpwuid(os.getuid()).pw_name))  # it looks the home of its user up
    db.commit()
    path = f"{embedded.bin}{os.pathsep}{os.environ['PATH']}"
    options = {
        "exec_prefix": "env "
        f"{shlex.quote(f'PATH={path}')}", "req_homedir": str(embedded.home), "cmd": ["sleep 300"], "hub": Hub(),
        "batchspawner_singleuser_cmd": "", "startup_poll_interval": 0.05, "req_keepvars": "LANG",
    }  # fmt: skip
    user = User(db.query(orm.User).one(), {})
    options["user"] = user
    made = user._new_spawner("", spawner_class=SlurmSpawner, **options)
    made.server = Server()
    made.mock_port = 54321  # the job runs no server that could tell its port
    yield made
    db.close()


async def test_a_session_is_kept_while_the_daemon_is_away(embedded: EmbeddedCentre, spawner: SlurmSpawner) -> None:
    spawner.job_id = submit(embedded, "sleep 300")
    until(lambda: state(embedded, spawner.job_id) == "RUNNING", "the job runs")
    assert await spawner.poll() is None
    job = spawner.job_id
    crash(embedded)
    assert await spawner.poll() is None and spawner.job_id == job, "unknown is not ended"
    embedded.start()
    assert await spawner.poll() is None and spawner.job_status.startswith("RUNNING")
    call(embedded, "scancel", job)
    until(lambda: state(embedded, job).startswith("CANCELLED"), "the job ended")
    assert await spawner.poll() == 1


async def test_it_starts_by_srun_with_a_list_of_exports_and_is_found_at_an_address_that_answers(
    embedded: EmbeddedCentre, spawner: SlurmSpawner
) -> None:
    host, port = await spawner.start()
    assert port == 54321
    with socket.create_server(("0.0.0.0", 0)) as server:  # as a single-user server of stock batchspawner listens
        socket.create_connection((host, server.getsockname()[1]), 5).close()
    until(
        lambda: (
            call(embedded, "sacct", "-n", "-P", "-j", f"{spawner.job_id}.0", "-o", "JobName,State").stdout
            == "sleep|RUNNING\n"
        )
    )
    await spawner.stop()
    assert await spawner.poll() == 1
