"""The federation's SSH certificate authority: its key pair, and certificates that are valid for minutes.

A centre trusts the public half once (`TrustedUserCAKeys`) and lists in a principals file who may use which account.
Each certificate is for one account, with a key that is made for the certificate, kept in memory and discarded. The
serial is in our log and in sshd's log.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncssh

from ...domain.identifiers import login
from ...errors import SpecError
from ..secret_files import read_secret, write_secret

MINUTES = 10
LONGEST = 15
BACK = 15 * 60  # seconds that a certificate is backdated: a login node's clock may be slow by that much
NOTHING = "/bin/false"  # the only command of a certificate for forwards

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Credential:
    """A key and its certificate. `valid_to` is aware UTC."""

    key: asyncssh.SSHKey
    certificate: asyncssh.SSHCertificate
    serial: int
    valid_to: datetime


class CertificateAuthority:
    """Signs certificates with `key`. `clock` gives seconds since the epoch."""

    def __init__(self, key: asyncssh.SSHKey, clock: Callable[[], float] = time.time) -> None:
        self.key, self.clock = key, clock

    @classmethod
    def open(cls, folder: Path) -> CertificateAuthority:
        """Opens the authority of a broker's state folder: `secrets/ssh_ca` (0600) and `secrets/ssh_ca.pub`. Makes both
        files at the first time.

        Raises SpecError if the key can't be read, or if others can read the key.
        """
        private = folder / "secrets" / "ssh_ca"
        if not private.exists():
            made = asyncssh.generate_private_key("ssh-ed25519", comment="scnet-hub user CA")
            write_secret(private, made.export_private_key("openssh").decode())
        try:
            authority = cls(asyncssh.import_private_key(read_secret(private) + "\n"))
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
            raise SpecError(
                f"{private} is not a private key: {error}.", hint="The federation's SSH CA is expected there."
            ) from error
        public = private.with_suffix(".pub")
        if not public.exists() or public.read_text().split()[:2] != authority.public.split()[:2]:
            public.write_text(authority.public + "\n")
        return authority

    @property
    def public(self) -> str:
        """Returns the line that a centre puts into its TrustedUserCAKeys file."""
        return self.key.export_public_key("openssh").decode().strip()

    def mint(self, principal: str, key_id: str, minutes: int = MINUTES, *, forwarding: bool = False) -> Credential:
        """Makes a new key with a certificate for one account, for commands, or (`forwarding`) for port forwards and
        nothing else.

        The certificate never allows a terminal, an agent, X11 or the account's own rc file. Raises BadOption if
        `principal` can't be a login.
        """
        if not 0 < minutes <= LONGEST:
            raise ValueError(f"a certificate is valid for 1 to {LONGEST} minutes, not {minutes}")
        key = asyncssh.generate_private_key("ssh-ed25519", comment=key_id)
        now, serial = int(self.clock()), time.time_ns()
        certificate = self.key.generate_user_certificate(
            key.convert_to_public(),
            key_id,
            serial=serial,
            principals=[login(principal)],
            valid_after=now - BACK,
            valid_before=now + minutes * 60,
            force_command=NOTHING if forwarding else None,
            permit_x11_forwarding=False,
            permit_agent_forwarding=False,
            permit_port_forwarding=forwarding,
            permit_pty=False,
            permit_user_rc=False,
        )
        until = datetime.fromtimestamp(now + minutes * 60, UTC)
        log.info("certificate serial %d for %s as %s, valid to %s", serial, principal, key_id, until.isoformat())
        return Credential(key, certificate, serial, until)
