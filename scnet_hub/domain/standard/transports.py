"""How the broker reaches a centre, as the centre's page says it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from .fields import Account, Document, Host, PublicKey


class EmbeddedTransport(Document):
    """An embedded centre on this machine, for demonstrations and tests."""

    kind: Literal["embedded"]
    socket: str = Field(description="Unix socket of the embedded centre.")


class LocalTransport(Document):
    """A scheduler whose commands run on the hub's own machine."""

    kind: Literal["local"]
    environment: dict[str, str] = Field(default={}, description="Set for every command, for example SLURM_CONF.")
    path: str = Field(default="", description="Folder of the scheduler's commands, put before PATH.")


class SshTransport(Document):
    """A login node. The federation pins its host keys and presents a certificate of its own CA, or its own key."""

    kind: Literal["ssh"]
    hosts: list[Host] = Field(min_length=1, description="Login nodes, best first.")
    port: int = Field(default=22, ge=1, le=65535, description="The port of the login nodes' sshd.")
    user: Account = Field(
        default="scnet",
        description="The federation's own account at the centre: queries the scheduler, and forwards ports.",
    )
    host_keys: list[PublicKey] = Field(
        default=[], description="The login nodes' public host keys, as in their ssh_host_*_key.pub."
    )
    host_ca: list[PublicKey] = Field(
        default=[], description="Public keys of the centre's host CA, instead of host_keys."
    )
    key_file: str = Field(
        default="",
        description="Private key (0600) of `user`, if the centre doesn't trust the federation's CA; relative to the "
        "state folder.",
    )
    environment: dict[str, str] = Field(default={}, description="Set for every command, for example SGE_ROOT.")
    path: str = Field(default="", description="Folder of the scheduler's commands, put before PATH.")
    concurrency: int = Field(
        default=8, ge=1, le=100, description="The most concurrent commands on the login node; below sshd's MaxSessions."
    )

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        if not self.host_keys and not self.host_ca:
            raise ValueError(
                "host_keys or host_ca must name at least one key: a login node is never trusted on first use"
            )
        return self
