"""The faults of the suite, as facts: each fault, its opposite, where it can strike and for how long. No I/O.

The centres' own faults are those of `tests.real.testbed.faults`; the rest strikes the federation's own processes, its
disk, its clock.
"""

from __future__ import annotations

from dataclasses import dataclass

PROCESSES = ("hub", "broker", "proxy")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """`targets`: centres' ids or parts of the federation. `lasts`: seconds, least and most. `at`: what else must be
    named ("node", "account"). `kills`: jobs of the target may end by it, and no hub can help it."""

    name: str
    opposite: str
    targets: tuple[str, ...]
    lasts: tuple[float, float] = (12.0, 60.0)
    at: str = ""
    kills: bool = False
    essential: bool = False  # struck first, so that a short run has it


_ALL = ("a", "b", "c", "d")
_SLURM = ("a", "b")

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault(name="ctl-kill", opposite="ctl-start", targets=_ALL),
        Fault(name="ctl-hang", opposite="ctl-unhang", targets=_ALL, essential=True),
        Fault(name="dbd-kill", opposite="dbd-start", targets=_SLURM),
        Fault(name="db-kill", opposite="db-start", targets=("d",), lasts=(10, 30)),
        # longer, and slurmctld loses its nodes
        Fault(name="munge-kill", opposite="munge-start", targets=_SLURM, lasts=(5, 12)),
        Fault(name="sshd-kill", opposite="sshd-start", targets=_ALL, essential=True),
        Fault(name="sshd-hang", opposite="sshd-unhang", targets=_ALL),
        Fault(name="forwarding-off", opposite="forwarding-on", targets=("b",)),
        Fault(name="mfa-on", opposite="mfa-off", targets=_ALL),
        Fault(name="chatty", opposite="quiet", targets=_ALL),
        Fault(name="curious", opposite="content", targets=_ALL, lasts=(12, 30)),
        Fault(name="net-down", opposite="net-up", targets=_ALL, lasts=(15, 90), essential=True),
        Fault(name="slow", opposite="fast", targets=_ALL),
        # longer, and the scheduler gives its nodes up
        Fault(name="freeze", opposite="thaw", targets=_ALL, lasts=(8, 15)),
        Fault(name="drain", opposite="resume", targets=_ALL, at="node"),
        Fault(name="partition-down", opposite="partition-up", targets=("a", "b", "c")),
        Fault(name="partition-inactive", opposite="partition-up", targets=_SLURM),
        Fault(name="submit-hold", opposite="submit-go", targets=_ALL, lasts=(5, 30)),
        Fault(name="home-full", opposite="home-free", targets=_ALL, at="account", lasts=(12, 30)),
        Fault(name="node-kill", opposite="node-start", targets=_ALL, at="node", lasts=(30, 60), kills=True),
        Fault(name="node-cut", opposite="node-join", targets=_ALL, at="node", lasts=(30, 60), kills=True),
        Fault(name="dead", opposite="up", targets=_ALL, lasts=(5, 20), kills=True, essential=True),
        *(Fault(name=f"{process}-kill", opposite=f"{process}-back", targets=(process,), lasts=(1, 1), essential=True)
          for process in PROCESSES),
        *(Fault(name=f"{process}-restart", opposite=f"{process}-back", targets=(process,),
        lasts=(1, 1)) for process in PROCESSES),
        *(Fault(name=f"{process}-hang", opposite=f"{process}-unhang", targets=(process,),
        lasts=(5, 30)) for process in PROCESSES),
        Fault(name="disk-full", opposite="disk-free", targets=("disk",), lasts=(8, 30), essential=True),
        Fault(name="clock-behind", opposite="clock-right", targets=("clock",), essential=True),
    )
}  # fmt: skip
