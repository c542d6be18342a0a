"""The requirements of this machine for each centre, and the line that installs them.

Looks and says; installs nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

from .layout import CENTRES

SEARCH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
# binary → Debian package
EVERYWHERE = {"sshd": "openssh-server", "ssh": "openssh-client", "ip": "iproute2", "sudo": "sudo"}
OF_KIND = {
    "slurm": {
        "slurmctld": "slurm-wlm", "sbatch": "slurm-wlm", "sacctmgr": "slurm-wlm", "slurmdbd": "slurmdbd",
        "munged": "munge", "mariadbd": "mariadb-server",
    },
    "gridengine": {"sge_qmaster": "gridengine-master", "sge_execd": "gridengine-exec", "qsub": "gridengine-client"},
    "oar": {
        "oar-server": "oar-server", "oar-database": "oar-server-pgsql", "oarsub": "oar-user",
        "oarnodesetting": "oar-node", "pg_ctlcluster": "postgresql", "taktuk": "taktuk",
    },
}  # fmt: skip
# without a binary that shows they are there, but needed
SILENT = {
    "slurm": ("slurm-wlm-plugins", "tzdata"),
    "gridengine": ("tzdata",),
    "oar": ("oar-user-pgsql", "oar-node", "tzdata"),
}


def packages(centres: str = "".join(CENTRES)) -> list[str]:
    """Debian's packages for these centres."""
    kinds = dict.fromkeys(CENTRES[centre].kind for centre in centres)
    named = [*EVERYWHERE.values()]
    for kind in kinds:
        named += [*OF_KIND[kind].values(), *SILENT[kind]]
    return list(dict.fromkeys(named))


def install_line(centres: str = "".join(CENTRES)) -> str:
    return "apt-get install --no-install-recommends " + " ".join(packages(centres))


def missing(centre: str) -> str:
    """Why this centre can't stand on this machine, in words; "" if it can."""
    return _machine() or _software(CENTRES[centre].kind)


def _software(kind: str) -> str:
    wanted = EVERYWHERE | OF_KIND[kind]
    absent = [binary for binary in wanted if not shutil.which(binary, path=SEARCH)]
    return f"{', '.join(absent)} not installed" if absent else ""


@cache
def _machine() -> str:
    if os.name != "posix" or os.geteuid() != 0:
        return "not root"
    if not os.path.exists("/proc/self/ns/pid") or not shutil.which("unshare"):
        return "no Linux namespaces"
    try_out = (
        "mount --make-rprivate / && mount -t tmpfs none /mnt && mkdir /mnt/u /mnt/w /mnt/r"
        " && mount -t overlay none -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/r"
        " && ip link add scnet-try type bridge"
    )
    unshare = ["unshare", "-m", "-n", "-p", "-u", "-i", "-f", "sh", "-c", try_out]
    done = subprocess.run(unshare, capture_output=True, text=True, timeout=30, env={**os.environ, "PATH": SEARCH})
    return f"no namespaces, overlay or bridge here ({done.stderr.strip()[:200]})" if done.returncode else ""
