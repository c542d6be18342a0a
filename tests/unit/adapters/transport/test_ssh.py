"""Tests commands and files through a real sshd, and every way in which it can fail to answer."""

import asyncio
import contextlib
import os
import shlex
import signal
import socket
import stat
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import psutil
import pytest

from scnet_hub.adapters.transport.certificates import CertificateAuthority
from scnet_hub.adapters.transport.factory import transport
from scnet_hub.adapters.transport.frames import FRAME
from scnet_hub.adapters.transport.login_nodes import RAN_NOTHING
from scnet_hub.adapters.transport.ssh import SshTransport, words
from scnet_hub.domain.commands import Command
from scnet_hub.errors import BadOption, Denied, Garbled, Rejected, Unreachable, WrongFile

from .conftest import Ways
from .sshd import ME, Sshd, end, free_port, until


def sh(script: str, stdin: bytes = b"") -> Command:
    return Command(("/bin/sh", "-c", script), stdin)


TRUE = Command(("true",))


async def soon(true: Callable[[], bool], what: str, seconds: float = 10) -> None:
    """As `until`, while the loop goes on."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def quickly(seconds: float) -> AsyncIterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


# --- commands


async def test_exit_codes_are_data_and_input_arrives(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    done = await ways().run(sh("cat; echo oops >&2; exit 3", b"hello"))
    assert (done.code, done.stdout, done.stderr) == (3, "hello", "oops\n")


async def test_arguments_are_never_a_shells(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    done = await ways().run(Command(("printf", "%s|", "$(id)", "a b", "", "it's", "-n", "`x`", "!")))
    assert done.stdout == "$(id)|a b||it's|-n|`x`|!|"


async def test_a_command_that_asks_gets_the_end_of_its_input(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    done = await ways().run(sh("read answer || echo nobody there"), timeout=10)
    assert done.stdout == "nobody there\n"


async def test_a_command_that_ignores_its_input_is_no_failure(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    way = ways()
    for _ in range(5):
        assert (await way.run(Command(("true",), b"x" * 500_000))).code == 0


async def test_a_hundred_thousand_lines_arrive_whole(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    done = await ways().run(Command(("seq", "100000")))
    assert done.stdout.splitlines() == [str(number) for number in range(1, 100_001)]


async def test_what_is_no_text_is_replaced(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    assert (await ways().run(sh("printf 'a\\377b'"))).stdout == "a\ufffdb"


async def test_endless_output_is_garbled_and_ended(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    way = ways()
    with pytest.raises(Garbled, match="more than 64 MiB"):
        await way.run(sh("cat /dev/zero"))
    assert (await way.run(TRUE)).code == 0
    await soon(lambda: not sshd.runs("cat /dev/zero"), "cat to end")


async def test_the_specs_environment_and_folder_are_set(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    commands = sshd.folder / "my commands"
    commands.mkdir()
    (commands / "squeue").write_text("#!/bin/sh\necho $SGE_ROOT\n")
    (commands / "squeue").chmod(0o755)
    way = ways(sshd.spec(transport=f'environment = {{ SGE_ROOT = "/a $b" }}\npath = "{commands}"'))
    assert (await way.run(Command(("squeue",)))).stdout == "/a $b\n"


@dataclass(frozen=True, kw_only=True)
class Talk:
    """What talks around a command: sshd's settings, a start-up file, and what is printed that is not ours, on each
    stream."""

    settings: tuple[str, ...] = ()
    file: tuple[str, str] = (".bashrc", "")
    out: tuple[str, ...] = ()
    err: tuple[str, ...] = ()


WRAPPER = 'ForceCommand printf Welcome; eval "$SSH_ORIGINAL_COMMAND"; printf "Thank you"; echo bye >&2'
TALKATIVE = {
    "nothing": Talk(),
    "a profile": Talk(
        file=(".bashrc", "echo Welcome\nprintf 'on Friday' >&2\necho -n 'Quota: {home: 81%}'\n"),
        out=("Welcome", "81%"),
        err=("Friday",),
    ),
    "a profile's last words": Talk(
        file=(".bashrc", "trap 'echo Goodbye; echo bye >&2' EXIT\n"), out=("Goodbye",), err=("bye",)
    ),
    "a profile that shows its commands": Talk(file=(".bashrc", "set -xv\n"), err=("+ env", "timeout")),
    "a wrapper that loses the exit code": Talk(settings=(WRAPPER,), out=("Welcome", "Thank you"), err=("bye",)),
    "tcsh": Talk(
        settings=('ForceCommand exec tcsh -c "$SSH_ORIGINAL_COMMAND"',),
        file=(".cshrc", "echo Welcome\nset echo\n"),
        out=("Welcome",),
        err=("env",),
    ),
    "csh": Talk(
        settings=('ForceCommand exec csh -c "$SSH_ORIGINAL_COMMAND"',),
        file=(".cshrc", "echo Welcome\n"),
        out=("Welcome",),
    ),
    "dash": Talk(settings=('ForceCommand exec dash -c "$SSH_ORIGINAL_COMMAND"',)),
}


@pytest.mark.parametrize("talk", TALKATIVE.values(), ids=TALKATIVE)
async def test_an_answer_is_the_commands_own_words_whatever_is_printed_around_it(
    sshd: Sshd, ways: Ways, talk: Talk
) -> None:
    (sshd.home / talk.file[0]).write_text(talk.file[1])
    sshd.start(*talk.settings)
    way = ways(sshd.spec(transport='environment = { m = "1", A = "a !b$c" }'))
    done = await way.run(sh(r"""printf 'one\n\ntwo'; printf 'oops' >&2; cat; printf %s "$m$A"; exit 3""", b"in\x00"))
    assert (done.code, done.stdout, done.stderr) == (3, "one\n\ntwoin\x001a !b$c", "oops")
    for said, expected in zip(done.noise, (talk.out, talk.err), strict=True):
        assert all(words in said for words in expected) and bool(said.strip()) is bool(expected), said
    await way.put(f"{sshd.home}/file", b"one\ntwo")
    assert (sshd.home / "file").read_bytes() == b"one\ntwo"
    assert await way.tail(f"{sshd.home}/file") == "one\ntwo"
    with pytest.raises(Rejected, match="did not store"):
        await way.put("/proc/x/y", b"data")


async def test_where_both_streams_are_joined_the_answer_holds_no_mark(sshd: Sshd, ways: Ways) -> None:
    sshd.start('ForceCommand eval "$SSH_ORIGINAL_COMMAND" 2>&1')
    done = await ways().run(sh("echo one; echo oops >&2; exit 1"))
    assert (done.code, done.stdout, done.stderr) == (1, "one\noops\n", "")


async def test_a_program_is_never_a_shells_own(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    done = await ways().run(Command(("exit", "7")))
    assert done.code == 127 and "exit" in done.stderr


async def test_a_frame_costs_no_question_of_its_own(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    way = ways()
    for _ in range(3):
        await way.run(TRUE)
    await way.put(f"{sshd.home}/file", b"x")
    await way.tail(f"{sshd.home}/file")
    assert sshd.log.count("Starting session: command") == 5 and logins(sshd) == 1


async def test_five_at_once_where_sshd_allows_one(sshd: Sshd, ways: Ways) -> None:
    sshd.start("MaxSessions 1")
    way = ways()
    done = await asyncio.gather(*(way.run(sh(f"sleep 0.1; echo {number}")) for number in range(5)))
    assert [one.stdout for one in done] == [f"{number}\n" for number in range(5)] and logins(sshd) == 1


async def test_no_session_in_time_is_unreachable_and_nothing_ran(sshd: Sshd, ways: Ways) -> None:
    sshd.start("MaxSessions 1")
    way = ways()
    long = asyncio.create_task(way.run(Command(("sleep", "300"))))
    await soon(lambda: sshd.runs("sleep 300"), "sleep to run")
    with pytest.raises(Unreachable, match="no connection to the login node had room") as caught:
        await way.run(sh(f"touch {sshd.home}/ran"), timeout=1)
    assert "Nothing ran" in caught.value.hint and not (sshd.home / "ran").exists()
    long.cancel()


async def test_no_more_at_once_than_the_spec_says(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    way = ways(sshd.spec(transport="concurrency = 2"))
    count = f"mkdir {sshd.home}/now.$$; ls -d {sshd.home}/now.* | wc -l; sleep 0.1; rmdir {sshd.home}/now.$$"
    done = await asyncio.gather(*(way.run(sh(count)) for _ in range(8)))
    assert max(int(one.stdout) for one in done) <= 2


async def test_one_person_takes_at_most_half_of_that(sshd: Sshd, ways: Ways) -> None:
    """A login that hangs, or a pipe in place of a log, would else keep everybody out."""
    sshd.start()
    way = ways(sshd.spec(transport='user = "somebody-else"\nconcurrency = 4'))
    count = f"mkdir {sshd.home}/now.$$; ls -d {sshd.home}/now.* | wc -l; sleep 0.1; rmdir {sshd.home}/now.$$"
    done = await asyncio.gather(*(way.run(sh(count), account=ME) for _ in range(8)))
    assert max(int(one.stdout) for one in done) <= 2


async def test_a_path_in_the_accounts_own_home(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    (sshd.home / ".bashrc").write_text(f"HOME={sshd.home}\n")
    (sshd.home / "word").write_text("one\n")
    assert await ways().tail("~/word") == "one\n" and await ways().tail("~/nothing") == ""


async def test_a_tail_is_never_longer_than_asked(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    (sshd.home / ".bashrc").write_text("PATH=$HOME/bin:$PATH\n")
    (sshd.home / "bin").mkdir()
    (sshd.home / "bin/tail").write_text("#!/bin/sh\nhead -c 9000 /dev/zero | tr '\\0' x\n")
    (sshd.home / "bin/tail").chmod(0o755)
    (sshd.home / "file").touch()
    assert len(await ways().tail(f"{sshd.home}/file", size=100)) == 100


async def test_a_log_that_is_no_regular_file_is_told_and_not_read(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    (sshd.home / "secret").write_text("t0ken")
    (sshd.home / "job").mkdir()
    os.mkfifo(sshd.home / "job" / "fifo")
    (sshd.home / "job" / "link").symlink_to(sshd.home / "secret")
    (sshd.home / "job" / "folder").mkdir()
    (sshd.home / "job" / "log").write_text("t0ken")
    (sshd.home / "elsewhere").symlink_to(sshd.home / "job")
    way = ways()
    wrong = {
        "job/fifo": "it is a FIFO, not a regular file",
        "job/link": "it is a symbolic link, not a regular file",
        "job/folder": "it is a folder, not a regular file",
        "elsewhere/log": "its folder is a symbolic link",
    }
    for name, why in wrong.items():
        with pytest.raises(WrongFile, match=why):
            await way.tail(f"{sshd.home}/{name}")
    with pytest.raises(WrongFile, match="it is a device or a socket"):
        await way.tail("/dev/zero")


async def test_the_word_of_a_proof_is_read_from_a_home_that_is_a_link_but_not_through_one(
    sshd: Sshd, ways: Ways
) -> None:
    sshd.start()
    (sshd.home / "data").mkdir()
    (sshd.home / "at-home").symlink_to(sshd.home / "data")
    (sshd.home / ".bashrc").write_text(f"HOME={sshd.home}/at-home\n")
    (sshd.home / "data" / "word").write_text("one\n")
    (sshd.home / "data" / ".scnet-link").symlink_to(sshd.home / "data" / "word")
    assert await ways().tail("~/word") == "one\n"
    with pytest.raises(WrongFile, match="it is a symbolic link"):
        await ways().tail("~/.scnet-link")


async def test_a_tail_that_blocks_ends_in_time(sshd: Sshd, ways: Ways) -> None:
    """As when a FIFO takes the file's place just after the look at it."""
    sshd.start()
    (sshd.home / ".bashrc").write_text("PATH=$HOME/bin:$PATH\n")
    (sshd.home / "bin").mkdir()
    (sshd.home / "bin/tail").write_text("#!/bin/sh\nexec sleep 300\n")
    (sshd.home / "bin/tail").chmod(0o755)
    (sshd.home / "file").touch()
    with pytest.raises(Unreachable, match="did not"):
        await ways().tail(f"{sshd.home}/file", timeout=1)


# --- who


async def test_a_persons_account_is_the_certificates_principal(
    sshd: Sshd, ways: Ways, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "scnet_hub.adapters.transport.certificates")
    sshd.start()
    sshd.allow("somebody-else")
    with pytest.raises(Denied, match=f"refused the federation's certificate for the account {ME}"):
        await ways().run(TRUE, account=ME)
    sshd.allow(ME)
    assert (await ways().run(Command(("id", "-un")), account=ME)).stdout == f"{ME}\n"
    serial = caplog.text.rsplit("serial ", 1)[1].split()[0]
    assert f'Accepted certificate ID "scnet:b:{ME}" (serial {serial})' in sshd.log


async def test_one_account_is_one_connection_whoever_waits(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    way = ways()
    await asyncio.gather(*(way.run(TRUE, account=account) for account in ["", ME] * 10))
    assert logins(sshd) == 1


async def test_a_caller_who_gives_up_takes_nobody_with_them(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    way = ways()
    first, second = (asyncio.create_task(way.run(TRUE)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).code == 0 and logins(sshd) == 1
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_what_a_cancelled_caller_started_ends_and_disturbs_nobody(sshd: Sshd, ways: Ways) -> None:
    """sshd delivers no signal to root's sessions: then it is the `timeout` there that ends it."""
    sshd.start("ClientAliveInterval 1", "ClientAliveCountMax 1")
    way = ways()
    other = asyncio.create_task(way.run(sh("sleep 4; echo done")))
    task = asyncio.create_task(way.run(Command(("sleep", "300")), timeout=3))
    await soon(lambda: sshd.runs("sleep 300"), "sleep to run")
    task.cancel()
    await soon(lambda: not sshd.runs("sleep 300"), "sleep to end")
    assert (await other).stdout == "done\n"


@pytest.mark.parametrize("account", ["-oProxyCommand=x", "ada;id", "a b", "Ada", "../x"])
async def test_what_can_be_no_account_is_refused_before_anything(sshd: Sshd, ways: Ways, account: str) -> None:
    with pytest.raises(BadOption):
        await ways().run(TRUE, account=account)


async def test_nobody_may_be_root_or_whom_the_centre_reserves(sshd: Sshd) -> None:
    way = transport(
        sshd.spec(transport='user = "scnet"', identity='mode = "certificate"\nreserved = ["slurm"]'), sshd.means()
    )
    for account in ("root", "slurm"):
        with pytest.raises(Denied, match=f"the account {account} may not be used"):
            await way.run(TRUE, account=account)
        with pytest.raises(Denied, match=f"the account {account} may not be used"):
            await way.put("/x", b"", account=account)


async def test_in_the_shared_mode_everybody_is_the_federations_account(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    way = ways(sshd.spec(identity='mode = "shared"'))
    assert (await way.run(Command(("id", "-un")), account="ada=2f")).stdout == f"{ME}\n"


async def test_in_the_service_mode_sudo_makes_the_account(sshd: Sshd, ways: Ways) -> None:
    fake_sudo(sshd, 'printf "%s " "$@" > "$HOME/asked"; while [ "$1" != -- ]; do shift; done; shift; exec "$@"')
    way = ways(sshd.spec(transport='environment = { A = "1" }', identity='mode = "service"'))
    done = await way.run(sh("pwd; echo $A; cat", b"in"), account="u4711")
    assert done.stdout == "/\n1\nin"
    assert (sshd.home / "asked").read_text().startswith("-n -H -u u4711 -- env -C / A=1 timeout -k 5 30 sh -c")
    await way.put(f"{sshd.home}/x", b"data", account="u4711")
    assert await way.tail(f"{sshd.home}/x", account="u4711") == "data"
    (sshd.home / "asked").unlink()
    await way.run(TRUE)
    assert not (sshd.home / "asked").exists()


@pytest.mark.parametrize(
    "said",
    [
        "sudo: a password is required",
        "sudo: unknown user u4711",
        "Sorry, user scnet is not allowed to execute 'x' as u4711 on b.",
    ],
)
async def test_sudos_refusal_is_denied_in_its_words(sshd: Sshd, ways: Ways, said: str) -> None:
    fake_sudo(sshd, f'echo "{said}" >&2; exit 1')
    with pytest.raises(Denied, match="may not act as u4711") as caught:
        await ways(sshd.spec(identity='mode = "service"')).run(TRUE, account="u4711")
    assert said.rstrip(".") in str(caught.value) and "hpc@beta.example" in caught.value.hint


async def test_a_centre_that_trusts_no_ca_gets_a_key(sshd: Sshd, ways: Ways) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(sshd.state / "key"))
    (sshd.state / "key").chmod(0o600)
    key.write_public_key(str(sshd.folder / "authorized_keys"))
    spec = sshd.spec(transport='key_file = "key"', identity='mode = "shared"')
    sshd.start(f"AuthorizedKeysFile {sshd.folder}/authorized_keys", "TrustedUserCAKeys none")
    assert (await ways(spec).run(TRUE)).code == 0
    (sshd.folder / "authorized_keys").write_text("")
    with pytest.raises(Denied, match="refused the key in key"):
        await ways(spec).run(TRUE)


def fake_sudo(sshd: Sshd, script: str) -> None:
    """The real one needs a second account; what is asked of it is what matters here."""
    folder = sshd.folder / "bin"
    folder.mkdir()
    (folder / "sudo").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "sudo").chmod(0o755)
    sshd.start(f"SetEnv HOME={sshd.home} PATH={folder}:/usr/bin:/bin")


def test_the_line_for_the_login_shell() -> None:
    frame = shlex.quote(FRAME)
    assert words(("squeue", "-o", "%i|%j"), 30, "w0rd") == f"timeout -k 5 30 sh -c {frame} sh w0rd '' squeue -o '%i|%j'"
    assert words(("qstat",), 9, "w", environment={"SGE_ROOT": "/a b"}).startswith(
        "env 'SGE_ROOT=/a b' timeout -k 5 9 sh -c "
    )
    assert words(("id",), 9, "w", "ada", path="/a b").startswith(
        "env LC_ALL=C sudo -n -H -u ada -- env -C / timeout -k 5 9 sh -c "
    )
    assert words(("id",), 9, "w", path="/a b").endswith("sh w '/a b' id")


# --- the login is refused


async def test_another_host_key_is_never_accepted(sshd: Sshd, ways: Ways, caplog: pytest.LogCaptureFixture) -> None:
    spec = sshd.spec()
    pinned, sshd.key = sshd.key, asyncssh.generate_private_key("ssh-ed25519")
    sshd.start()
    way = ways(spec)
    for _ in range(2):
        with pytest.raises(Denied, match="nothing was sent there") as caught:
            await way.run(TRUE)
        assert pinned.get_fingerprint() in str(caught.value) and sshd.key.get_fingerprint() in str(caught.value)
        assert caught.value.code == "host-key-changed" and "hpc@beta.example" in caught.value.hint
    assert sshd.log.count("Connection from") <= 2  # the fixture's own look, and one attempt
    assert [one.levelname for one in caplog.records if "nothing was sent" in one.message] == ["ERROR"]


async def test_a_host_key_that_the_centres_ca_signed_is_enough(sshd: Sshd, ways: Ways) -> None:
    ca = asyncssh.generate_private_key("ssh-ed25519")

    def sign(principal: str) -> None:
        certificate = ca.generate_host_certificate(sshd.key.convert_to_public(), "login", principals=[principal])
        (sshd.folder / "host_cert.pub").write_bytes(certificate.export_certificate("openssh"))

    spec = sshd.spec(transport=f'host_keys = []\nhost_ca = ["{ca.export_public_key().decode().strip()}"]')
    sign("127.0.0.1")
    sshd.start(f"HostCertificate {sshd.folder}/host_cert.pub")
    assert (await ways(spec).run(TRUE)).code == 0
    sshd.stop()
    sign("login.other.example")
    sshd.start(f"HostCertificate {sshd.folder}/host_cert.pub")
    with pytest.raises(Denied, match="can't be verified"):
        await ways(spec).run(TRUE)


async def test_an_expired_certificate_is_denied_and_names_the_clock(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    way = ways()
    way.authority = CertificateAuthority(sshd.authority.key, clock=lambda: time.time() - 16 * 60)
    with pytest.raises(Denied, match="refused the federation's certificate") as caught:
        await way.run(TRUE)
    assert "clock" in caught.value.hint and "principals file" in caught.value.hint and "expired" in sshd.log


async def test_a_login_node_whose_clock_is_slow_accepts_a_certificate(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    way = ways()
    way.authority = CertificateAuthority(sshd.authority.key, clock=lambda: time.time() + 14 * 60)
    assert (await way.run(TRUE)).code == 0


@pytest.mark.parametrize("method", ["keyboard-interactive", "password"])
async def test_a_second_factor_is_named(sshd: Sshd, ways: Ways, method: str) -> None:
    sshd.start(
        "KbdInteractiveAuthentication yes", "PasswordAuthentication yes", f"AuthenticationMethods publickey,{method}"
    )
    with pytest.raises(Denied, match="second factor"):
        await ways().run(TRUE)


async def test_an_offer_of_passwords_is_no_second_factor(sshd: Sshd, ways: Ways) -> None:
    sshd.start("KbdInteractiveAuthentication yes", "PasswordAuthentication yes")
    sshd.allow("nobody-else")
    with pytest.raises(Denied, match="refused the federation's certificate"):
        await ways().run(TRUE)


async def test_a_refused_account_does_not_bar_the_others(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    way = ways()
    with pytest.raises(Denied):
        await way.run(TRUE, account="nobody-there")
    assert (await way.run(TRUE, account=ME)).code == 0


async def test_a_refused_login_is_tried_again_when_the_centre_has_mended_it(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    sshd.allow("nobody")
    way = ways(first_pause=0.2)
    with pytest.raises(Denied):
        await way.run(TRUE)
    sshd.allow(ME)
    async with quickly(0.1):
        with pytest.raises(Denied):  # too early: said at once, nobody asks sshd
            await way.run(TRUE)
    assert await eventually(way)


async def eventually(way: SshTransport, seconds: float = 10) -> bool:
    """Asks until there is an answer."""
    async with asyncio.timeout(seconds):
        while True:
            with contextlib.suppress(Unreachable):
                return (await way.run(TRUE)).code == 0
            await asyncio.sleep(0.02)


# --- it can't be asked, or dies


async def test_a_refused_port_is_unreachable_and_said_at_once_until_it_is_time(sshd: Sshd, ways: Ways) -> None:
    way = ways(first_pause=0.5)
    with pytest.raises(Unreachable, match="Connection refused"):
        await way.run(TRUE)
    sshd.start()
    with pytest.raises(Unreachable):
        await way.run(TRUE)
    assert await eventually(way)


async def test_a_dead_centre_costs_one_attempt_a_pause(sshd: Sshd, ways: Ways) -> None:
    attempts = 0

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal attempts
        attempts += 1
        writer.close()

    async with await asyncio.start_server(drop, "127.0.0.1", sshd.port):
        way = ways(first_pause=60, longest_pause=60)
        for _ in range(3):
            for account in ("", "ada", "grace"):
                with pytest.raises(Unreachable):
                    await way.run(TRUE, account=account)
    assert attempts == 1


async def test_many_accounts_find_out_together_that_a_centre_is_back(sshd: Sshd, ways: Ways) -> None:
    way = ways(first_pause=0.05)
    with pytest.raises(Unreachable):
        await way.run(TRUE)
    await soon(lambda: not way.lines.nodes[0].backoff.holds(asyncio.get_running_loop().time()), "the pause to be over")
    attempts = []

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        attempts.append(1)
        writer.close()

    async with await asyncio.start_server(drop, "127.0.0.1", sshd.port):
        found = await asyncio.gather(
            *(way.run(TRUE, account=f"u{number}") for number in range(10)), return_exceptions=True
        )
    assert all(isinstance(one, Unreachable) for one in found) and len(attempts) == 1


async def test_an_sshd_that_says_nothing_is_unreachable_in_time(sshd: Sshd, ways: Ways) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", sshd.port))
        silent.listen()
        async with quickly(3):
            with pytest.raises(Unreachable, match=r"the login did not end within 0.5 s"):
                await ways(login=0.5).run(TRUE)


async def test_the_next_login_node_is_taken_if_the_first_is_away(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    way = ways(sshd.spec(transport='hosts = ["127.0.0.3", "127.0.0.1"]'))
    assert (await way.run(TRUE)).code == 0


async def test_a_connection_that_died_unused_is_replaced_unnoticed(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    way = ways()
    await way.run(TRUE)
    sshd.stop()
    sshd.start()
    assert (await way.run(TRUE)).code == 0


async def test_a_connection_that_dies_under_a_command_says_that_it_may_have_run(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    way = ways()
    task = asyncio.create_task(way.run(sh("echo half; sleep 300")))
    await soon(lambda: sshd.runs("sleep 300"), "sleep to run")
    left = kill_connections(sshd)
    with pytest.raises(Unreachable, match="was cut off") as caught:
        await task
    end(left)
    assert "may have run" in caught.value.hint and not isinstance(caught.value, Denied)
    assert (await way.run(TRUE)).code == 0


async def test_a_hung_sshd_is_unreachable_in_time_and_left(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    way = ways(grace=0.2)
    await way.run(TRUE)
    stopped = sshd.sessions()
    for process in stopped:
        process.suspend()
    async with quickly(5):
        with pytest.raises(Unreachable, match="did not answer within 1 s"):
            await way.run(TRUE, timeout=1)
        assert (await way.run(TRUE)).code == 0  # on a new connection
    for process in stopped:
        process.resume()


async def test_a_network_that_swallows_everything_is_noticed(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    dark = asyncio.Event()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if not dark.is_set():
                writer.write(data)
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", sshd.port)
        await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer), return_exceptions=True)

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as between:
        port = between.sockets[0].getsockname()[1]
        way = ways(sshd.spec(transport=f"port = {port}"), keepalive=0.2)
        task = asyncio.create_task(way.run(Command(("sleep", "300"))))
        await soon(lambda: sshd.runs("sleep 300"), "sleep to run")
        dark.set()
        async with quickly(5):
            with pytest.raises(Unreachable, match="was cut off"):
                await task
        await way.close()


async def test_a_command_past_its_time_is_ended_at_the_centre(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    way = ways()
    async with quickly(5):
        with pytest.raises(Unreachable, match="did not end within 1 s"):
            await way.run(Command(("sleep", "300")), timeout=1)
    await soon(lambda: not sshd.runs("sleep 300"), "sleep to end")
    assert (await way.run(TRUE)).code == 0 and logins(sshd) == 1


async def test_a_killed_command_is_unknown(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    task = asyncio.create_task(ways().run(Command(("sleep", "300"))))
    await soon(lambda: sshd.runs("sleep 300"), "sleep to run")
    for process in sshd.sessions():
        if process.name() in ("timeout", "sleep"):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
    with pytest.raises(Unreachable, match="killed by signal"):
        await task


async def test_a_code_that_timeout_uses_is_data_if_the_time_was_not_up(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    assert (await ways().run(sh("exit 124"))).code == 124


async def test_a_program_that_is_killed_alone_is_unknown_too(sshd: Sshd, ways: Ways) -> None:
    """By the kernel for want of memory, say: the shell around it lives on."""
    sshd.start()
    for script, number in (("kill -KILL $$", 9), ("kill -TERM $$", 15)):
        with pytest.raises(Unreachable, match=f"killed by signal {number}") as caught:
            await ways().run(sh(script))
        assert "may have run" in caught.value.hint


# --- connections come and go


async def test_an_idle_connection_is_closed(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    way = ways(idle=0.1)
    await way.run(TRUE)
    await soon(lambda: not sshd.sessions(), "the connection to close")
    assert (await way.run(TRUE)).code == 0 and logins(sshd) == 2


async def test_an_old_connection_gets_no_new_command_and_ends_with_its_last(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    way = ways(life=0.3)
    long = asyncio.create_task(way.run(sh("sleep 1; echo done")))
    await soon(lambda: logins(sshd) == 1, "the first login")
    while logins(sshd) == 1:
        await way.run(TRUE)
    assert not long.done() and (await long).stdout == "done\n"
    await soon(lambda: not sshd.sessions(), "both connections to close")


async def test_close_leaves_no_connection(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    way = ways()
    await way.run(TRUE)
    await way.close()
    await soon(lambda: not sshd.sessions(), "the connection to close")


async def test_close_during_a_login_ends_the_callers(sshd: Sshd, ways: Ways) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", sshd.port))
        silent.listen()
        way = ways()
        task = asyncio.create_task(way.run(TRUE))
        connection, _ = await asyncio.to_thread(silent.accept)
        async with quickly(3):
            await way.close()
            with pytest.raises(Unreachable, match="being closed"):
                await task
        connection.close()


# --- files

ODD = ["plain", "a b", "it's", '"q"', "$HOME", "-rf", "`id`", "a\\b", "ü", "*"]


@pytest.mark.parametrize("name", ODD)
async def test_files_of_any_name_are_put_and_read(sshd: Sshd, ways: Ways, name: str) -> None:
    sshd.start()
    way = ways()
    path = f"{sshd.home}/{name}/{name}"
    await way.put(path, b"one\n" * 3000)
    await way.put(path, b"\x00\xfftwo\nthree")
    assert Path(path).read_bytes() == b"\x00\xfftwo\nthree"
    assert await way.tail(path, size=5) == "three"


async def test_a_file_has_its_mode_and_its_parents_are_private(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    way = ways()
    await way.put(f"{sshd.home}/a/b/c", b"x")
    await way.put(f"{sshd.home}/a/b/script", b"y", mode=0o755)
    modes = {
        str(one.relative_to(sshd.home)): oct(stat.S_IMODE(one.stat().st_mode))
        for one in sorted((sshd.home / "a").rglob("*"))
    }
    assert modes == {"a/b": "0o700", "a/b/c": "0o600", "a/b/script": "0o755"}
    assert stat.S_IMODE((sshd.home / "a").stat().st_mode) == 0o700


async def test_a_relative_path_is_of_the_home(sshd: Sshd, ways: Ways) -> None:
    (sshd.home / ".bashrc").write_text("cd\n")  # sshd starts in the account's real home
    sshd.start()
    await ways().put("-x/-y", b"z")
    assert (sshd.home / "-x/-y").read_bytes() == b"z"


async def test_a_put_that_is_cut_off_leaves_no_file(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    target = sshd.home / "d" / "big"
    task = asyncio.create_task(ways().put(str(target), b"x" * 60_000_000))
    await soon(lambda: target.parent.exists() and any(target.parent.iterdir()), "the put to begin")
    kill_connections(sshd)
    with pytest.raises(Unreachable):
        await task
    await soon(lambda: not any(target.parent.iterdir()), "the part to be removed")


async def test_a_full_disk_is_rejected_in_the_centres_words(sshd: Sshd, ways: Ways) -> None:
    folder = sshd.folder / "bin"
    folder.mkdir()
    (folder / "cat").write_text("#!/bin/sh\nexec /bin/cat > /dev/full\n")
    (folder / "cat").chmod(0o755)
    sshd.start(f"SetEnv HOME={sshd.home} PATH={folder}:/usr/bin:/bin LANG=zh_CN.UTF-8")
    with pytest.raises(Rejected, match="No space left on device") as caught:
        await ways().put(f"{sshd.home}/x/y", b"data")
    assert f"{sshd.home}/x/y" in str(caught.value) and not any((sshd.home / "x").iterdir())


@pytest.mark.parametrize("path", ["/proc/x/y", "/dev/null/x", "/proc/version", "/sys/x"])
async def test_a_place_that_takes_no_file_is_rejected(sshd: Sshd, ways: Ways, path: str) -> None:
    sshd.start()
    with pytest.raises(Rejected, match="did not store"):
        await ways().put(path, b"data")


@pytest.mark.parametrize(
    "says", ["echo This account is for file transfer only", "echo This account is not available >&2; exit 1"]
)
async def test_a_login_that_runs_something_else_answers_nothing(sshd: Sshd, ways: Ways, says: str) -> None:
    sshd.start(f"ForceCommand {says}")
    way = ways()
    for ask in (way.run(TRUE), way.put(f"{sshd.home}/x", b"data"), way.tail(f"{sshd.home}/x")):
        with pytest.raises(Unreachable, match="can run no command there: This account is") as caught:
            await ask
        assert caught.value.code == RAN_NOTHING and "hpc@beta.example" in caught.value.hint


async def test_the_end_of_a_missing_file_is_empty(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    assert await ways().tail(f"{sshd.home}/no/such") == ""


async def test_the_end_of_a_folder_cannot_be_read(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    with pytest.raises(WrongFile, match="it is a folder, not a regular file"):
        await ways().tail(str(sshd.home))


def kill_connections(sshd: Sshd) -> list[psutil.Process]:
    """Kills sshd's process of each connection; what ran in them is left over, and returned."""
    processes = [(process, process.name()) for process in sshd.sessions()]
    for process, name in processes:
        if name == "sshd":
            process.kill()
    return [process for process, name in processes if name != "sshd"]


def logins(sshd: Sshd) -> int:
    return sshd.log.count("Accepted publickey")


def test_the_fixture_finds_a_port_and_waits() -> None:
    assert free_port() > 1024
    with pytest.raises(AssertionError, match="waited"):
        until(lambda: False, "nothing", 0.05)
