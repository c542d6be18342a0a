"""The testbed's keys: the federation's CA, its own key at the centre that trusts no CA, and each centre's host key.

They lie in the state folder and outlive the centres, so that a centre brought up again is the same one to who pinned
its host key.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from .layout import Centre


def ca(folder: Path, given: Path | None = None) -> Path:
    """The public key of the CA that the centres trust: `given`, or that of a pair of our own in `secrets/`."""
    private = folder / "secrets/ssh_ca"
    public = private.with_suffix(".pub")
    if given is None:
        return _pair(private, "SCNet test CA")
    public.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if given.resolve() != public.resolve():
        shutil.copyfile(given, public)
    return public


def service(folder: Path, centre: Centre) -> Path:
    return _pair(service_key(folder, centre), "SCNet test federation")


def service_key(folder: Path, centre: Centre) -> Path:
    return folder / f"secrets/ssh_{centre.id}"


def host(folder: Path, centre: Centre) -> Path:
    return _pair(folder / f"testbed/{centre.id}_host_key", centre.login)


def pinned(folder: Path, centre: Centre) -> str:
    return " ".join(host(folder, centre).read_text().split()[:2])


def _pair(private: Path, comment: str) -> Path:
    """The public half; made on first use."""
    if not private.exists():
        private.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(private)]
        subprocess.run(command, check=True, timeout=30, capture_output=True)
    return private.with_suffix(".pub")
