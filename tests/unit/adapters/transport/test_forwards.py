"""Tests ports through a real OpenSSH master and a real sshd: they are opened again, whatever dies."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest

from scnet_hub.adapters.transport.certificates import CertificateAuthority
from scnet_hub.adapters.transport.ssh import SshTransport
from scnet_hub.domain.commands import Command
from scnet_hub.domain.standard.centre import CentreSpec
from scnet_hub.errors import Denied, SpecError, Unreachable

from .conftest import Ways
from .sshd import ME, Sshd, free_port
from .test_ssh import quickly, soon

HOST = "127.0.0.1"
QUICK = {"first_pause": 0.1, "longest_pause": 0.3}


@pytest.fixture
async def node() -> AsyncIterator[int]:
    """The port of something on a node that sends back what it gets."""
    async with await asyncio.start_server(_echo, HOST, 0) as server:
        yield server.sockets[0].getsockname()[1]


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def carries(address: tuple[str, int]) -> bool:
    """Whether a line comes back from there."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(*address)
            try:
                writer.write(b"hello\n")
                return await reader.readline() == b"hello\n"
            finally:
                writer.close()
    except OSError:
        return False


async def carries_again(address: tuple[str, int], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not await carries(address):
        assert time.monotonic() < deadline, f"{address} carries nothing"
        await asyncio.sleep(0.02)


def forwarding(sshd: Sshd, network: str = "", transport: str = "") -> CentreSpec:
    return sshd.spec(network=f'sessions = "forward"\n{network}', transport=transport)


def with_way_back(sshd: Sshd, port: int, listen: str = HOST) -> CentreSpec:
    return forwarding(sshd, f'hub = "forward"\nlisten = "{listen}"\nlisten_port = {port}')


def master(way: SshTransport) -> int:
    """The one master's process id."""
    (pid,) = way.forwards.master.left_over()
    return pid


def masters(way: SshTransport) -> list[int]:
    return list(way.forwards.master.left_over())


# --- to sessions


async def test_a_forward_carries_and_asking_again_gives_the_same_address(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start()
    way = ways(forwarding(sshd))
    address = await way.forward(HOST, node)
    assert address[0] == HOST and address[1] != node and await carries(address)
    assert await way.forward(HOST, node) == address and len(masters(way)) == 1


async def test_many_callers_at_once_share_one_master(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start()
    way = ways(forwarding(sshd))
    addresses = await asyncio.gather(*(way.forward(HOST, node + one % 2) for one in range(10)))
    assert len(set(addresses)) == 2 and len(masters(way)) == 1 and sshd.log.count("Accepted publickey") == 1


async def test_a_caller_who_gives_up_takes_nobody_with_them(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start()
    way = ways(forwarding(sshd))
    first, second = (asyncio.create_task(way.forward(HOST, node)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await carries(await second)


async def test_where_nodes_are_reached_directly_there_is_no_master(sshd: Sshd, ways: Ways) -> None:
    way = ways(sshd.spec(network='sessions = "direct"'))
    assert await way.forward("10.1.2.3", 4567) == ("10.1.2.3", 4567)
    await way.keep([("10.1.2.3", 4567)])
    await way.unforward("10.1.2.3", 4567)
    assert await way.hub_url() == "" and not (sshd.state / "forwards").exists()


async def test_the_hubs_address_for_nodes_is_the_specs(sshd: Sshd, ways: Ways) -> None:
    assert await ways(sshd.spec(network='hub_url = "http://hub.lan:8000"')).hub_url() == "http://hub.lan:8000"


async def test_a_session_that_does_not_listen_yet_is_no_error(sshd: Sshd, ways: Ways) -> None:
    sshd.start()
    port = free_port()
    address = await ways(forwarding(sshd)).forward(HOST, port)
    assert not await carries(address)
    async with await asyncio.start_server(_echo, HOST, port):
        assert await carries(address)


async def test_a_forward_that_is_needed_no_more_is_closed(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start()
    way = ways(forwarding(sshd))
    address = await way.forward(HOST, node)
    for _ in range(2):
        await way.unforward(HOST, node)
    assert not await carries(address)
    with pytest.raises(OSError):
        socket.create_connection(address, 1)


async def test_keep_makes_exactly_these_stand(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start()
    way = ways(forwarding(sshd))
    gone, stays = await way.forward(HOST, free_port()), await way.forward(HOST, node)
    await way.keep([(HOST, node)])
    assert await carries(stays) and await way.forward(HOST, node) == stays
    with pytest.raises(OSError):
        socket.create_connection(gone, 1)


# --- whatever dies


async def test_a_killed_master_comes_back_on_the_same_ports(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start()
    way = ways(forwarding(sshd))
    address = await way.forward(HOST, node)
    before = master(way)
    os.kill(before, signal.SIGKILL)
    await carries_again(address)
    assert master(way) != before and await way.forward(HOST, node) == address


async def test_a_hung_master_is_ended_and_replaced(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start()
    way = ways(forwarding(sshd), calm=0.1, hung=0.5)
    address = await way.forward(HOST, node)
    before = master(way)
    os.kill(before, signal.SIGSTOP)
    await carries_again(address)
    assert master(way) != before


async def test_a_master_that_hangs_after_a_restart_is_ended_too(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start()
    first = ways(forwarding(sshd))
    address = await first.forward(HOST, node)
    await first.close()
    before = master(first)
    os.kill(before, signal.SIGSTOP)
    second = ways(forwarding(sshd), hung=0.5)
    assert await second.forward(HOST, node) == address and await carries(address) and master(second) != before


async def test_a_lost_connection_comes_back_on_the_same_ports(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start()
    way = ways(forwarding(sshd), **QUICK)
    address = await way.forward(HOST, node)
    sshd.stop()
    await soon(lambda: not masters(way), "the master to end with its connection")
    with pytest.raises(Unreachable, match="Connection refused"):
        await way.forward(HOST, node)
    sshd.start()
    await carries_again(address)


async def test_a_restarted_broker_finds_the_same_master_and_its_streams_live(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start()
    first = ways(forwarding(sshd))
    address = await first.forward(HOST, node)
    reader, writer = await asyncio.open_connection(*address)
    before = master(first)
    await first.close()
    second = ways(forwarding(sshd))
    assert await second.forward(HOST, node) == address and master(second) == before
    writer.write(b"still here\n")
    assert await reader.readline() == b"still here\n"
    writer.close()


BROKER = """
import asyncio, sys
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.adapters.transport.transport import Means
from scnet_hub.adapters.transport.ssh import SshTransport
from pathlib import Path

async def main(page, folder, port):
    way = SshTransport(parse_centre(Path(page).read_text(), source=page), Means(folder=Path(folder)), never=())
    print((await way.forward("127.0.0.1", int(port)))[1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_killed_broker_takes_no_forward_with_it(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start()
    (sshd.folder / "b.toml").write_text(sshd.page(network='sessions = "forward"'))
    broker = subprocess.Popen(
        [sys.executable, "-c", BROKER, str(sshd.folder / "b.toml"), str(sshd.state), str(node)],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert broker.stdout
    line = await asyncio.to_thread(broker.stdout.readline)
    way = ways(forwarding(sshd))
    with pytest.raises(Unreachable, match="another process keeps the forwards"):
        await way.forward(HOST, node)
    before = master(way)
    broker.kill()
    await asyncio.to_thread(broker.communicate)
    address = (HOST, int(line))
    assert await carries(address)
    assert await way.forward(HOST, node) == address and master(way) == before


async def test_three_hundred_forwards_stand_again_at_once(sshd: Sshd, ways: Ways, node: int) -> None:
    """The bound is 1 s; `benchmarks/forwards.py` measures it. Here the machine may be busy."""
    sshd.start()
    wanted = [(HOST, node), *((HOST, 40000 + one) for one in range(298)), ("127.0.0.2", node)]
    first = ways(forwarding(sshd))
    await first.keep(wanted)
    addresses = [await first.forward(*one) for one in (wanted[0], wanted[150])]
    await first.close()
    second = ways(forwarding(sshd))
    async with quickly(3):
        await second.keep(wanted)
    os.kill(master(second), signal.SIGKILL)
    async with quickly(5):
        await carries_again(addresses[0])
        await second.keep(wanted)
    assert [await second.forward(*one) for one in (wanted[0], wanted[150])] == addresses
    socket.create_connection(addresses[1], 1).close()


async def test_the_first_command_after_a_restart_takes_the_forwards_up(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start()
    first = ways(forwarding(sshd))
    address = await first.forward(HOST, node)
    await first.end()
    await soon(lambda: not masters(first), "the master to end")
    assert not await carries(address)
    second = ways(forwarding(sshd))
    await second.run(Command(("true",)))
    await carries_again(address)


async def test_a_port_that_is_somebody_elses_by_now_gives_way(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start()
    first = ways(forwarding(sshd))
    address = await first.forward(HOST, node)
    await first.end()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(address)
        other.listen()
        moved = await ways(forwarding(sshd)).forward(HOST, node)
    assert moved != address and await carries(moved)


async def test_the_next_login_node_is_taken_if_the_first_is_away(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start()
    way = ways(forwarding(sshd, transport='hosts = ["127.0.0.3", "127.0.0.1"]'))
    assert await carries(await way.forward(HOST, node))


async def test_a_state_folder_with_a_long_path_will_do(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start()
    sshd.state = sshd.folder / ("long" * 30) / "state"
    sshd.state.mkdir(parents=True)
    sshd.trust(CertificateAuthority.open(sshd.state).public)
    way = ways(forwarding(sshd))
    assert await carries(await way.forward(HOST, node))
    os.kill(master(way), signal.SIGKILL)
    await carries_again(await way.forward(HOST, node))


async def test_close_leaves_the_master_and_end_ends_it(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start()
    way = ways(forwarding(sshd))
    address = await way.forward(HOST, node)
    await way.close()
    assert await carries(address)
    await way.end()
    await soon(lambda: not masters(way), "the master to end")
    assert not await carries(address)


async def test_close_ends_the_callers(sshd: Sshd, ways: Ways) -> None:
    with socket.socket() as silent:
        silent.bind((HOST, sshd.port))
        silent.listen()
        way = ways(forwarding(sshd))
        task = asyncio.create_task(way.forward(HOST, 1))
        connection, _ = await asyncio.to_thread(silent.accept)
        async with quickly(3):
            await way.close()
            with pytest.raises(Unreachable):
                await task
        connection.close()
        assert not masters(way)


async def test_what_lies_on_disk_is_private_and_holds_no_key(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start()
    way = ways(forwarding(sshd))
    await way.forward(HOST, node)
    folder = sshd.state / "forwards" / "b"
    assert (
        folder.stat().st_mode & 0o777 == 0o700
        and not (folder / "key").exists()
        and not (folder / "key-cert.pub").exists()
    )
    assert (sshd.state / "forwards" / "b.json").stat().st_mode & 0o777 == 0o600


async def test_the_master_may_open_many_files(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start()
    way = ways(forwarding(sshd))
    await way.forward(HOST, node)
    found = re.search(r"Max open files +(\d+) +(\d+)", Path(f"/proc/{master(way)}/limits").read_text())
    assert found and int(found[1]) == min(int(found[2]), 65536)


async def test_a_broken_list_of_forwards_is_reported_and_commands_go_on(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start()
    (sshd.state / "forwards").mkdir()
    (sshd.state / "forwards" / "b.json").write_text("{")
    way = ways(forwarding(sshd))
    assert (await way.run(Command(("true",)))).code == 0
    with pytest.raises(SpecError, match="is not a list of forwards"):
        await way.forward(HOST, node)


# --- to the hub


async def test_sessions_reach_the_hub_through_the_login_node(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start()
    port = free_port()
    way = ways(with_way_back(sshd, port), public_url=f"http://{HOST}:{node}")
    assert await way.hub_url() == f"http://{HOST}:{port}" and await carries((HOST, port))
    os.kill(master(way), signal.SIGKILL)
    await carries_again((HOST, port))
    assert await way.hub_url() == f"http://{HOST}:{port}" and await way.check() == []


async def test_the_way_back_stands_before_anybody_asks(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start()
    port = free_port()
    await ways(with_way_back(sshd, port), public_url=f"http://{HOST}:{node}").run(Command(("true",)))
    await carries_again((HOST, port))


async def refusal(way: SshTransport, words: str) -> Unreachable:
    """Returns the error that says `words`: until a whole round is over, the way back is only not open yet."""
    async with asyncio.timeout(20):
        while True:
            try:
                await way.hub_url()
            except Unreachable as error:
                if words in str(error):
                    return error


async def test_a_port_that_a_dead_connection_holds_is_taken_when_it_comes_free(
    sshd: Sshd, ways: Ways, node: int
) -> None:
    sshd.start()
    port = free_port()
    way = ways(with_way_back(sshd, port), public_url=f"http://{HOST}:{node}", login=1, **QUICK)
    await way.hub_url()
    silent = sshd.sessions()
    for process in silent:
        process.suspend()  # as if the network had swallowed its end
    os.kill(master(way), signal.SIGKILL)
    assert "may still hold the port" in (await refusal(way, f"doesn't listen on {HOST}:{port}")).hint
    for process in silent:
        process.resume()
    await carries_again((HOST, port))
    assert await way.hub_url()


async def test_a_way_back_needs_the_proxys_address(sshd: Sshd, ways: Ways) -> None:
    with pytest.raises(SpecError, match="the address of the hub's proxy is unknown"):
        await ways(with_way_back(sshd, 18000)).hub_url()


async def test_an_sshd_that_listens_on_loopback_only_is_found_by_check(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start("GatewayPorts no")
    way = ways(with_way_back(sshd, free_port(), listen="127.0.0.2"), public_url=f"http://{HOST}:{node}")
    (wrong,) = await way.check(HOST, node)
    assert "GatewayPorts clientspecified" in wrong and "127.0.0.2" in wrong
    sshd.stop()
    sshd.start("GatewayPorts clientspecified")
    await soon(lambda: bool(masters(way)), "the master to come back")
    assert await way.check(HOST, node) == []


# --- refused


async def test_a_site_that_forbids_forwarding_is_told_at_the_first_use(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start("AllowTcpForwarding no")
    way = ways(with_way_back(sshd, free_port()), public_url=f"http://{HOST}:{node}", login=1, **QUICK)
    for _ in range(2):
        with pytest.raises(Denied, match="forbids TCP forwarding") as caught:
            await way.forward(HOST, node)
        assert caught.value.code == "forwarding-forbidden" and "AllowTcpForwarding" in caught.value.hint
    with pytest.raises(Unreachable) as back:
        await way.hub_url()
    assert "AllowTcpForwarding" in back.value.hint
    assert [("forbids TCP forwarding" in one, "doesn't listen" in one) for one in await way.check()] == [
        (True, False),
        (False, True),
    ]


async def test_a_site_that_permits_some_addresses_is_told_for_the_others(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start(f"PermitOpen {HOST}:{node}")
    way = ways(forwarding(sshd))
    assert await carries(await way.forward(HOST, node))
    with pytest.raises(Denied, match=r"forbids TCP forwarding to 127.0.0.2"):
        await way.forward("127.0.0.2", node)


async def test_another_host_key_is_never_accepted(sshd: Sshd, ways: Ways) -> None:
    spec = forwarding(sshd)
    pinned, sshd.key = sshd.key, asyncssh.generate_private_key("ssh-ed25519")
    sshd.start()
    with pytest.raises(Denied, match="nothing was sent there") as caught:
        await ways(spec).forward(HOST, 1)
    assert pinned.get_fingerprint() in str(caught.value) and sshd.key.get_fingerprint() in str(caught.value)


async def test_a_refused_login_is_denied_and_said_at_once_until_it_is_time(sshd: Sshd, ways: Ways, node: int) -> None:
    sshd.start()
    sshd.allow("nobody")
    way = ways(forwarding(sshd), first_pause=0.5)
    with pytest.raises(Denied, match="refused the federation's certificate"):
        await way.forward(HOST, node)
    async with quickly(0.3):
        with pytest.raises(Denied):
            await way.forward(HOST, node)
    sshd.allow("nobody", ME)
    await soon(lambda: bool(masters(way)), "the next attempt")
    assert await carries(await way.forward(HOST, node))


async def test_a_second_factor_is_named(sshd: Sshd, ways: Ways) -> None:
    sshd.start("KbdInteractiveAuthentication yes", "AuthenticationMethods publickey,keyboard-interactive")
    with pytest.raises(Denied, match="second factor"):
        await ways(forwarding(sshd)).forward(HOST, 1)


async def test_a_centre_that_trusts_no_ca_gets_a_key(sshd: Sshd, ways: Ways, node: int) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(sshd.state / "key"))
    (sshd.state / "key").chmod(0o600)
    key.write_public_key(str(sshd.folder / "authorized_keys"))
    sshd.start(f"AuthorizedKeysFile {sshd.folder}/authorized_keys", "TrustedUserCAKeys none")
    way = ways(forwarding(sshd, transport='key_file = "key"'))
    assert await carries(await way.forward(HOST, node))
    assert (sshd.state / "key").exists()
