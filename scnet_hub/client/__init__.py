"""What runs in a notebook or beside it: the REST client, batch jobs, Dask clusters, panels."""

from .rest import Client

__all__ = ["Client"]
