"""Makes the transport that a centre's page names."""

from __future__ import annotations

from ...domain.standard.centre import CentreSpec
from ...errors import SpecError
from .embedded import EmbeddedTransport
from .local import LocalTransport
from .transport import Means, Transport


def transport(spec: CentreSpec, means: Means | None = None) -> Transport:
    """Returns the transport that a centre's spec names; opens nothing yet. Raises SpecError."""
    way = spec.transport
    if way.kind == "ssh":
        from .ssh import SshTransport  # asyncssh takes 0.3 s to import

        if means is None:
            raise SpecError(
                f"centre {spec.id} is reached over SSH, which needs a state folder with the federation's keys."
            )
        return SshTransport(spec, means)
    if way.kind == "embedded":
        return EmbeddedTransport(way.socket, hub=means.proxy_url if means else "")
    return LocalTransport(way.environment, way.path, hub=means.proxy_url if means else "")
