"""Four member centres on this machine, for the tests: real Slurm, Grid Engine and OAR behind real SSH.

Each centre is namespaces of its own, so root is needed, and none of its traffic leaves the machine. What a centre is,
is in `layout`; how it is brought up and ended, in `testbed`; how it is broken, in `faults`. Needs nothing beyond the
standard library.
"""

from .layout import CENTRES, Centre, Place
from .testbed import Testbed, down, running, shared, up

__all__ = ["CENTRES", "Centre", "Place", "Testbed", "down", "running", "shared", "up"]
