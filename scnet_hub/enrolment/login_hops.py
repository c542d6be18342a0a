"""The first hops, from this machine to a shell at the centre: name, port, host key, login, shell, clock, the person's
account.

Each hop says in words what to fix, and who must. Nothing here knows schedulers.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

from ..adapters.transport import clock_skew
from ..adapters.transport.factory import transport
from ..adapters.transport.login_nodes import HOST_KEY_CHANGED, LOGIN_REFUSED, RAN_NOTHING
from ..adapters.transport.ssh import SshTransport
from ..domain.commands import Completed
from ..errors import CentreError, Denied, ScnetError, Unreachable
from ..units import format_duration
from . import answers
from .findings import Doubt, Hop, Problem, Skip, words_of
from .visit import Visit, last_line, noise, said

CONNECT = 5.0  # seconds
QUESTION = "scnet-first-line"
DOUBTFUL, BAD = 5.0, 60.0  # seconds that a clock may be off; a certificate is valid for minutes


async def name(visit: Visit) -> str:
    return await every_host(visit, _resolve)


async def port(visit: Visit) -> str:
    return await every_host(visit, lambda host: _greet(host, visit.way.port))


async def host_key(visit: Visit) -> str:
    return await every_host(visit, lambda host: _shown_key(visit, host))


async def every_host(visit: Visit, look: Callable[[str], Awaitable[str]]) -> str:
    """Checks each login node in turn: one node in order is enough, but another node that is not gives a doubt. A wrong
    key is never passed over."""
    found: list[str] = []
    wrong: list[ScnetError] = []
    for host in visit.way.hosts:
        try:
            found.append(await look(host))
        except ScnetError as error:
            wrong.append(error)
    worst = next((error for error in wrong if error.code == HOST_KEY_CHANGED), None)
    if worst or not found:
        raise worst or wrong[0]
    if wrong:
        raise Doubt(f"{'; '.join(found)}. But {wrong[0]}", hint=wrong[0].hint)
    return "; ".join(found)


async def _resolve(host: str) -> str:
    with contextlib.suppress(ValueError):
        return f"{ipaddress.ip_address(host)} is an address"
    try:
        async with asyncio.timeout(CONNECT):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError) as error:
        raise Problem(
            f"{host} does not resolve on this machine: {words_of(error)}",
            hint="Check the spelling, and this machine's name server: `getent hosts` shows its answer.",
        ) from error
    return f"{host} is {', '.join(sorted({str(entry[4][0]) for entry in found}))}"


async def _greet(host: str, number: int) -> str:
    where = f"{host}:{number}"
    try:
        async with asyncio.timeout(CONNECT):
            reader, writer = await asyncio.open_connection(host, number)
    except TimeoutError as error:
        raise Problem(
            f"{where} does not answer within {CONNECT:g} s: the host is off, or a firewall drops what we send",
            hint="Ask the centre to open its login node's SSH port for this machine's address.",
        ) from error
    except OSError as error:
        raise Problem(
            f"{where}: {words_of(error)}",
            hint="Nothing listens there: check that sshd is up, and transport.port.",
        ) from error
    try:
        async with asyncio.timeout(CONNECT):
            line = (await reader.read(256)).decode(errors="replace").split("\n")[0].strip()
    except (TimeoutError, OSError):
        line = ""
    finally:
        writer.close()
    if line.startswith("SSH-"):
        return f"{where} answers: {line}"
    if line:
        raise Problem(f"{where} is not an SSH server: it says {line[:60]!r}", hint="Check transport.port.")
    raise Problem(
        f"{where} accepts connections but sends no greeting: its sshd hangs, or accepts no more logins (MaxStartups)",
        hint="Check sshd on the login node.",
    )


async def _shown_key(visit: Visit, host: str) -> str:
    """Checks that the host proves one of the pinned keys: that comes before the login, which may be refused."""
    alone = visit.way.model_copy(update={"hosts": [host]})
    one = len(visit.way.hosts) == 1
    way = visit.transport if one else transport(visit.spec.model_copy(update={"transport": alone}), visit.means)
    assert isinstance(way, SshTransport)
    try:
        async with way.lines.line(visit.way.user):
            pass
    except Denied as error:
        if error.code != LOGIN_REFUSED:
            raise
    finally:
        if not one:
            await way.close()
    return f"{host} shows a pinned key"


async def login(visit: Visit) -> str:
    user = visit.way.user
    try:
        done = await _first_command(visit, "")
    except Denied as error:
        raise await _cause(visit, error) from error
    found = last_line(done.stdout)
    if done.code or found != user:
        raise Problem(
            f"{user} can log in, but can run no command: {last_line(done.stderr) or found or f'exit code {done.code}'}",
            hint=f"Its login shell, or a forced command, prevents it: ask {visit.contact}.",
        )
    return (
        f"as {user}, by "
        f"{f'the key in {visit.way.key_file}' if visit.way.key_file else 'a certificate of the federation'}"
    )


async def _first_command(visit: Visit, account: str) -> Completed:
    """Asks who we are there. A shell that hangs before the command is not an unreachable centre: its port answered."""
    try:
        return await visit.ask("id", "-un", account=account, timeout=visit.shell_patience)
    except Denied:
        raise
    except Unreachable as error:
        if error.code == RAN_NOTHING:
            raise
        user = account or visit.way.user
        raise Problem(
            f"{user} gets no answer to a first command: {error}",
            hint=f"The start-up files of {user}'s login shell hang, or the file system of its home does: ask "
            f"{visit.contact}.",
        ) from error


async def _cause(visit: Visit, error: Denied) -> ScnetError:
    """Returns why a certificate was refused, as far as this side can find out."""
    if visit.way.key_file or "second factor" in str(error):
        return error
    with contextlib.suppress(CentreError):
        ahead = await clock_skew.seconds_ahead(visit.spec, visit.means)
        seen = "expired" if ahead > 0 else "not yet valid"
        return Problem(
            f"the login node's clock is {off(ahead)}: a certificate of the federation is {seen} there",
            hint="Set the clock by NTP (`chronyc tracking` and `date -u` there show it); no certificate is valid for "
            "more than 15 minutes.",
        )
    if visit.account and visit.spec.identity.mode == "certificate":
        with contextlib.suppress(CentreError):
            await visit.ask("true", account=visit.account)
            return Problem(
                f"{visit.account} can log in by a certificate, {visit.way.user} can't: the CA is trusted there, "
                "the account is the problem",
                hint=f"Check that {visit.way.user} exists, is unlocked, and is in its principals file: ask "
                f"{visit.contact}.",
            )
    return error


def off(seconds: float) -> str:
    """Returns "25 min ahead of ours"."""
    return f"{format_duration(timedelta(seconds=abs(seconds)))} {'ahead of' if seconds > 0 else 'behind'} ours"


async def shell(visit: Visit) -> str:
    return await _manners(visit, "")


async def _manners(visit: Visit, account: str) -> str:
    """Checks what a login shell does before our command: prints text, or reads the command's input."""
    ask = 'read -r line; printf "%s zone %s\\n%s line %s\\n" "$1" "$(date +%Z)" "$1" "$line"'
    done = await visit.ask("sh", "-c", ask, "sh", visit.word, account=account, stdin=f"{QUESTION}\n".encode())
    facts = said(done.stdout, visit.word)
    user = account or visit.way.user
    printed, asked = (noise(words, visit.word) for words in done.noise)
    if facts.get("line") != QUESTION:
        says = f" (it says {(asked or printed)[:80]!r})" if asked or printed else ""
        raise Problem(
            f"something in {user}'s login shell reads standard input{says}: job scripts would be lost",
            hint="Its start-up files must not ask anything without a terminal: [ -t 0 ] || return",
        )
    if printed:
        raise Doubt(
            f"{user}'s login shell prints {printed[:80]!r} before each command; the hub ignores this text",
            hint='Its start-up files should print nothing without a terminal: [ -n "$PS1" ] || return',
        )
    return f"quiet; its time zone is {facts.get('zone') or 'unknown'}, which may differ from ours"


async def its_clock(visit: Visit) -> str:
    before = time.time()
    done = await visit.ask("date", "+%s")
    middle = (before + time.time()) / 2
    now = answers.whole_number(last_line(done.stdout))
    if now is None:
        raise Problem(f"`date +%s` answered {last_line(done.stdout)[:40]!r}", hint=f"Ask {visit.contact}.")
    ahead = now + 0.5 - middle
    if abs(ahead) > BAD:
        raise Problem(
            f"the login node's clock is {off(ahead)}: certificates are valid for minutes",
            hint="Set the clock by NTP: `chronyc tracking` there.",
        )
    if abs(ahead) > DOUBTFUL:
        raise Doubt(f"the login node's clock is {off(ahead)}", hint="Set the clock by NTP: `chronyc tracking` there.")
    return "as ours, within a second" if abs(ahead) < 1.5 else f"{off(ahead)}"


async def account(visit: Visit) -> str:
    mode = visit.spec.identity.mode
    if mode == "shared":
        raise Doubt(
            "everything runs under one account: any person could read another's files", hint="For demonstrations only."
        )
    if not visit.account:
        raise Skip("the page lists no account of a person", hint="Give an account with --account.")
    done = await _first_command(visit, visit.account)
    found = last_line(done.stdout)
    if done.code or found != visit.account:
        raise Problem(
            f"asked for {visit.account}, the centre gave {found or last_line(done.stderr)!r}",
            hint=f"Ask {visit.contact}.",
        )
    if mode == "service":
        return f"{visit.way.user} may act as {visit.account} by sudo"
    await _manners(visit, visit.account)
    return f"{visit.account} can log in by a certificate of the federation"


HOPS: tuple[Hop[Visit], ...] = (
    Hop("name", name),
    Hop("port", port, ("name",)),
    Hop("host key", host_key, ("port",)),
    Hop("login", login, ("host key",)),
    Hop("shell", shell, ("login",)),
    Hop("clock", its_clock, ("shell",)),
    Hop("account", account, ("host key",)),
)
