"""SCNet Hub: one login, one notebook and one budget for a federation of supercomputing centres.

In a notebook: `import scnet_hub as scnet`, then `scnet.panel()`, `scnet.dask(cores=8)`, `scnet.run([...])`. These names
are resolved when first used, so that importing the package costs nothing on a compute node.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["balance", "centres", "dask", "jobs", "panel", "place", "run", "sessions", "stop", "usage"]

_HOMES = {"dask": "client.clusters", "panel": "client.panels"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'client.notebook')}"), name)


def __dir__() -> list[str]:
    """Lists the names for users; the modules beside them are the package's own."""
    return sorted([*__all__, "__version__"])
