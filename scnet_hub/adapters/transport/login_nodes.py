"""A centre's login nodes as seen from outside: what is pinned of them, and the sentences for those who may not come in.

Commands (asyncssh) and forwards (OpenSSH) come through the same door; they fail in the same words. Opens nothing itself.
"""

from __future__ import annotations

import asyncssh

from ...domain.standard.centre import CentreSpec
from ...domain.standard.centre import SshTransport as SshSpec
from ...errors import Denied, SpecError, Unreachable

LOGIN_REFUSED = "login-refused"
HOST_KEY_CHANGED = "host-key-changed"
RAN_NOTHING = "login-runs-nothing"


class Door:
    def __init__(self, spec: CentreSpec, way: SshSpec) -> None:
        self.spec, self.way = spec, way

    @property
    def contact(self) -> str:
        return self.spec.contact or "the centre's admins"

    def known_hosts(self) -> str:
        """The pinned keys in OpenSSH's form, for every name: there is no other host in that file. Raises SpecError."""
        pinned = [f"* {_line(key)}\n" for key in self.way.host_keys]
        return "".join([*pinned, *(f"@cert-authority * {_line(key)}\n" for key in self.way.host_ca)])

    def unreachable(self, host: str, words: str) -> Unreachable:
        return Unreachable(f"{self._at(host)} can't be reached: {words}.", hint="Nothing ran there. It is tried again by itself.")

    def nothing_in_common(self, host: str, words: str) -> Denied:
        return Denied(f"{self._at(host)}: its sshd and this client have no algorithm in common: {words}.", hint=f"Ask {self.contact}.")

    def wrong_host_key(self, host: str, seen: str, words: str) -> Denied:
        """`seen`: the fingerprint that it showed, if known; `words`: why it can't be verified."""
        pinned = ", ".join(_key(key).get_fingerprint() for key in [*self.way.host_keys, *self.way.host_ca])
        said = f"the host key {seen}" if seen else f"a host key that can't be verified ({words})"
        return Denied(
            f"{self._at(host)} shows {said}, but {pinned} is pinned: nothing was sent there.",
            hint=f"Somebody sits in between, or the centre changed its keys: ask {self.contact} before a new key goes into centre.toml.",
            code=HOST_KEY_CHANGED,
        )

    def refused(self, host: str, user: str) -> Denied:
        if self.way.key_file and user == self.way.user:
            sentence = f"{self._at(host)} refused the key in {self.way.key_file} for {user}."
            hint = f"Its public half belongs into {user}'s authorized_keys there; ask {self.contact}."
        else:
            sentence = f"{self._at(host)} refused the federation's certificate for the account {user}."
            hint = (
                f"Only its sshd's log says why. Either the account {user} is unknown or locked there, its principals file doesn't name it, "
                f"TrustedUserCAKeys lacks the federation's CA, or a clock is wrong. Ask {self.contact}."
            )
        return Denied(sentence, hint=hint, code=LOGIN_REFUSED)

    def second_factor(self, host: str, user: str) -> Denied:
        return Denied(
            f"{self._at(host)} asks {user} for a second factor, which a program can't give.",
            hint=f"{self.contact} must except the federation from it, for example by its address: AuthenticationMethods publickey.",
            code=LOGIN_REFUSED,
        )

    def ran_nothing(self, host: str, user: str, words: str) -> Unreachable:
        """The login works, but something else than our command ran: a forced command, or a shell that is none."""
        return Unreachable(
            f"{self._at(host)} lets {user} in, but {user} can run no command there: {words}.",
            hint=f"Nothing ran there. Its login shell, or a forced command, stands in the way: ask {self.contact}.",
            code=RAN_NOTHING,
        )

    def _at(self, host: str) -> str:
        return f"centre {self.spec.id} at {host}:{self.way.port}"


def again(error: Unreachable) -> Unreachable:
    """The same error to be raised once more: one object would gather the traceback of everybody who meets it."""
    return type(error)(str(error), hint=error.hint, code=error.code, details=error.details)


def _line(public: str) -> str:
    return " ".join(_key(public).export_public_key("openssh").decode().split()[:2])


def _key(public: str) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_public_key(public)
    except asyncssh.KeyImportError as error:
        raise SpecError(f"transport.host_keys: {public[:60]!r} is no public key: {error}.") from error
