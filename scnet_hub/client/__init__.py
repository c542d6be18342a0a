"""The part that runs in a notebook or on a person's machine: the REST client, batch jobs, Dask clusters, panels."""

from .rest import Client

__all__ = ["Client"]
