"""Makes the two things that a centre needs to start a session: the job spec, and the 0600 file for its first process.

Made from the session's row and the centre's page alone. Addresses are those by which the centre's nodes reach them;
secrets are in the file only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from ..jobs import JobSpec
from ..standard.centre import CentreSpec
from . import names
from .records import Copy, SessionCopy

# addresses that the session itself calls; those that the person's browser opens stay public
OURS = ("_API_URL", "_ACTIVITY_URL")
# beside the start file of a job that was also submitted elsewhere (node/start.py)
ASK_FIRST, ASK_FIRST_TEXT = "ask-first", b"This job asks the hub whether it is the first to start; else it ends.\n"


def directory(spec: CentreSpec, account: str) -> str:
    """Returns the folder of an account's session files."""
    return spec.session.directory.format(account=account)


def home(spec: CentreSpec, account: str) -> str:
    """Returns the folder in which an account's sessions work."""
    return spec.session.home.format(directory=directory(spec, account), account=account)


def path(spec: CentreSpec, copy: Copy, name: str) -> str:
    """Returns the path of one of a copy's files at its centre; for "", of their folder."""
    return f"{directory(spec, copy.account)}/{names.label(copy)}" + (f"/{name}" if name else "")


def job_spec(spec: CentreSpec, row: SessionCopy) -> JobSpec:
    session, copy = row
    request = names.request_of(session.request)
    return JobSpec(
        name=names.job_name(copy), partition=copy.partition, cores=request.cores, gpus=request.gpus,
        gpu_model=request.gpu_model,
        argv=(spec.session.python, "-P", "-m", "scnet_hub.node.start", path(spec, copy, "start.json")),
        memory=request.memory or request.cores * spec.session.memory_per_core, nodes=request.nodes,
        walltime=request.walltime, output=path(spec, copy, "log"), directory=path(spec, copy, ""),
    )  # fmt: skip


def limits(spec: CentreSpec, row: SessionCopy) -> dict[str, str]:
    """Returns a session's resources on one node, by JupyterHub's names: cores, and bytes of memory."""
    job = job_spec(spec, row)
    cores, memory = (f"{amount // job.nodes}" for amount in (job.cores, job.memory))
    return {"CPU_LIMIT": cores, "CPU_GUARANTEE": cores, "MEM_LIMIT": memory, "MEM_GUARANTEE": memory}


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Addresses for sessions. `public_url` is this installation's address; `call_home` begins with it and is where
    sessions reach the broker: "{}" stands for the session's id. `idle_timeout`: after which an idle session stops
    itself; 0: never."""

    public_url: str
    call_home: str
    idle_timeout: timedelta = timedelta()

    def start_file(self, spec: CentreSpec, row: SessionCopy, hub_url: str) -> dict[str, Any]:
        """Returns the contents of the start file. `hub_url` is how its centre reaches the hub, "" by the public URL:
        scheme, host and port, while paths stay as they are."""
        session, copy = row
        ours = urlsplit(self.public_url)
        origin = f"{ours.scheme}://{ours.netloc}"

        def seen(url: str) -> str:
            return hub_url + url.removeprefix(origin) if hub_url and url.startswith(f"{self.public_url}/") else url

        env = {name: seen(value) if name.endswith(OURS) else value for name, value in session.payload["env"].items()}
        return {
            "session": session.id,
            "kind": session.kind,
            "argv": session.payload["argv"],
            "files": session.payload.get("files", {}),
            "env": {
                **env,
                **limits(spec, row),
                "SCNET_SESSION": session.id,
                "SCNET_CENTRE": copy.centre,
                "SCNET_PROJECT": session.project,
                "SCNET_IDLE_TIMEOUT": f"{self.idle_timeout.total_seconds():.0f}",
                **({"SCNET_API_HOST": ours.netloc} if hub_url else {}),
            },
            "nonce": copy.secret,
            "call_home": seen(self.call_home.format(session.id)),
            "hub_host": ours.netloc,  # the broker's host as the proxy knows it, however it is reached
            "home": home(spec, copy.account),
            "host": spec.session.host,
            "networks": spec.network.nodes,
            "log_limit": spec.session.log_limit,
        }
