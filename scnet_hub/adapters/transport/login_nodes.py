"""A centre's login nodes as seen from outside: their pinned keys, and the sentences for failed logins.

Commands (asyncssh) and forwards (OpenSSH) log in to the same nodes and fail with the same sentences. Opens nothing
itself.
"""

from __future__ import annotations

import asyncssh

from ...domain.standard.centre import CentreSpec
from ...domain.standard.transports import SshTransport as SshSpec
from ...errors import Denied, SpecError, Unreachable

LOGIN_REFUSED = "login-refused"
HOST_KEY_CHANGED = "host-key-changed"
RAN_NOTHING = "login-runs-nothing"


class LoginNodes:
    def __init__(self, spec: CentreSpec, way: SshSpec) -> None:
        self.spec, self.way = spec, way

    @property
    def contact(self) -> str:
        return self.spec.contact or "the centre's admins"

    def known_hosts(self) -> str:
        """Returns the pinned keys in OpenSSH's form, for every name, because the file holds no other host. Raises
        SpecError."""
        pinned = [f"* {_line(key)}\n" for key in self.way.host_keys]
        return "".join([*pinned, *(f"@cert-authority * {_line(key)}\n" for key in self.way.host_ca)])

    def unreachable(self, host: str, words: str) -> Unreachable:
        return Unreachable(
            f"{self._at(host)} can't be reached: {words}.", hint="Nothing ran there. The hub tries again automatically."
        )

    def nothing_in_common(self, host: str, words: str) -> Denied:
        return Denied(
            f"{self._at(host)}: its sshd and this client have no algorithm in common: {words}.",
            hint=f"Ask {self.contact}.",
        )

    def wrong_host_key(self, host: str, seen: str, words: str) -> Denied:
        """Returns the error for a wrong host key. `seen`: the fingerprint that the host showed, if known; `words`: why
        the key can't be verified."""
        pinned = ", ".join(_key(key).get_fingerprint() for key in [*self.way.host_keys, *self.way.host_ca])
        said = f"the host key {seen}" if seen else f"a host key that can't be verified ({words})"
        return Denied(
            f"{self._at(host)} shows {said}, but {pinned} is pinned: nothing was sent there.",
            hint=f"The connection is intercepted, or the centre changed its keys: ask {self.contact} before you "
            "change centre.toml.",
            code=HOST_KEY_CHANGED,
        )

    def refused(self, host: str, user: str) -> Denied:
        if self.way.key_file and user == self.way.user:
            sentence = f"{self._at(host)} refused the key in {self.way.key_file} for {user}."
            hint = f"Its public half belongs in {user}'s authorized_keys there; ask {self.contact}."
        else:
            sentence = f"{self._at(host)} refused the federation's certificate for the account {user}."
            hint = (
                f"Only its sshd's log says why: either the account {user} is unknown or locked there, its "
                "principals file doesn't name it, "
                f"TrustedUserCAKeys lacks the federation's CA, or a clock is wrong. Ask {self.contact}."
            )
        return Denied(sentence, hint=hint, code=LOGIN_REFUSED)

    def second_factor(self, host: str, user: str) -> Denied:
        return Denied(
            f"{self._at(host)} asks {user} for a second factor, which a program can't provide.",
            hint=f"{self.contact} must exempt the federation, for example by its address: AuthenticationMethods "
            "publickey.",
            code=LOGIN_REFUSED,
        )

    def ran_nothing(self, host: str, user: str, words: str) -> Unreachable:
        """Returns the error for a login that works, but does not run our command: a forced command, or a shell that is
        not a real shell."""
        return Unreachable(
            f"{self._at(host)} lets {user} in, but {user} can run no command there: {words}.",
            hint=f"Nothing ran there. Its login shell, or a forced command, prevents it: ask {self.contact}.",
            code=RAN_NOTHING,
        )

    def _at(self, host: str) -> str:
        return f"centre {self.spec.id} at {host}:{self.way.port}"


def again(error: Unreachable) -> Unreachable:
    """Returns a copy of the error to be raised again: a shared object would collect the traceback of every caller."""
    return type(error)(str(error), hint=error.hint, code=error.code, details=error.details)


def _line(public: str) -> str:
    return " ".join(_key(public).export_public_key("openssh").decode().split()[:2])


def _key(public: str) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_public_key(public)
    except asyncssh.KeyImportError as error:
        raise SpecError(f"transport.host_keys: {public[:60]!r} is not a public key: {error}.") from error
