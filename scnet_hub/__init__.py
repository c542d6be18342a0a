"""SCNet Hub: one login, one notebook and one budget for a federation of supercomputing centres.

In a notebook: `import scnet_hub as scnet`, then `scnet.panel()`, `scnet.dask(cores=8)`, `scnet.centres()`.
"""

__version__ = "0.1.0"
