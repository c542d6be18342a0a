"""The part that runs in a notebook or on a person's machine: the REST client, batch jobs, Dask clusters, panels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .rest import Client

__all__ = ["Client"]


def __getattr__(name: str) -> Any:
    """Imports the client on first use: a cluster's guard needs httpx only at its end."""
    if name == "Client":
        from .rest import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
