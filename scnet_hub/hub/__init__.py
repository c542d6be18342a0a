"""JupyterHub's side: the spawner, the authenticator, the life of servers. A site's `jupyterhub_config.py` calls
`configure`."""

from .config import configure

__all__ = ["configure"]
