"""The testbed itself: people get jobs through at every centre, nothing gets across what is closed, and `down` leaves
nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from . import CENTRES, Place, Testbed, down, faults, life, needs, network, shared, up
from .fixtures import need

ROOT = Path(__file__).parents[3]
SPARE = Place(prefix="sctest", network="10.79")  # a second testbed, to be ended while the first stands
PROOF = '(id -un; hostname) >proof.part && mv proof.part "$HOME/proof"'
SUBMIT = {
    "slurm": f"sbatch --parsable --time=5 --wrap '{PROOF}'",
    "gridengine": f"echo '{PROOF}' | SGE_ROOT=/var/lib/gridengine qsub -cwd",
    "oar": f"oarsub -l /core=1,walltime=0:5:0 '{PROOF}'",
}
AWAIT = "for _ in $(seq 300); do [ -s proof ] && cat proof && rm proof && exit; sleep 0.2; done; exit 1"


class SignIn(Protocol):
    def __call__(
        self, centre: str, account: str, words: str, principal: str = ""
    ) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def sign_in(testbed: Testbed, tmp_path: Path) -> SignIn:
    """Runs words at a centre as an account there: by a certificate of some minutes, or by the federation's account and
    sudo."""

    def run(centre: str, account: str, words: str, principal: str = "") -> subprocess.CompletedProcess[str]:
        known = tmp_path / "known_hosts"
        host_key = re.search(r'host_keys = \["(.*?)"\]', testbed.page(centre).read_text())
        known.write_text(f"{testbed.login(centre)} {host_key[1]}\n" if host_key else "")
        options = [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "ConnectTimeout=5",
            f"UserKnownHostsFile={known}",
            "StrictHostKeyChecking=yes",
        ]
        command = ["ssh", "-F", "none", *(word for option in options for word in ("-o", option))]
        if CENTRES[centre].identity == "certificate" or principal:
            command += [
                "-i",
                str(_certificate(testbed, tmp_path, principal or account)),
                f"{account}@{testbed.login(centre)}",
                words,
            ]
        else:
            quoted = "'" + words.replace("'", "'\\''") + "'"
            command += ["-i", str(testbed.folder / f"secrets/ssh_{centre}"), f"scnet@{testbed.login(centre)}"]
            command += [f"sudo -n -H -u {account} sh -c 'cd && eval \"$0\"' {quoted}"]
        return subprocess.run(command, capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL)

    return run


def _certificate(testbed: Testbed, folder: Path, account: str) -> Path:
    key = folder / account
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=30)
    ca = testbed.folder / "secrets/ssh_ca"
    sign = [
        "ssh-keygen",
        "-q",
        "-s",
        str(ca),
        "-I",
        "test",
        "-n",
        account,
        "-V",
        "-1m:+5m",
        "-O",
        "clear",
        f"{key}.pub",
    ]
    subprocess.run(sign, check=True, timeout=30)
    return key


@pytest.mark.parametrize("centre", CENTRES)
def test_each_person_runs_a_job_at_each_centre(testbed: Testbed, sign_in: SignIn, centre: str) -> None:
    need(testbed, centre)
    accounts = testbed.accounts[centre].values()
    for account in accounts:
        submitted = sign_in(centre, account, SUBMIT[CENTRES[centre].kind])
        assert submitted.returncode == 0, submitted.stderr
    for account in accounts:
        who, where = sign_in(centre, account, AWAIT).stdout.split()
        assert who == account and where in CENTRES[centre].nodes


def test_a_certificate_opens_its_own_account_only(testbed: Testbed, sign_in: SignIn) -> None:
    need(testbed, "b", "c")
    assert sign_in("b", "u4711", "id -un").stdout == "u4711\n"
    for centre, account, principal in (("b", "u4712", "u4711"), ("b", "root", "root"), ("c", "alovelace", "alovelace")):
        assert "Permission denied" in sign_in(centre, account, "id -un", principal).stderr


def test_the_service_account_acts_as_the_listed_people_only(testbed: Testbed, sign_in: SignIn) -> None:
    need(testbed, "c")
    assert sign_in("c", "ghopper", "id -un").stdout == "ghopper\n"
    assert sign_in("c", "sgeadmin", "id -un").returncode == 1


def test_the_federation_sees_everybodys_jobs_where_people_see_their_own(testbed: Testbed) -> None:
    need(testbed, "a")
    job = testbed.at(
        "a", ["sbatch", "--parsable", "--hold", "--wrap", "true"], account="ada", check=True
    ).stdout.strip()
    seen = {
        account: job in testbed.at("a", ["squeue", "-hao", "%i"], account=account).stdout.split()
        for account in ("ada", "grace", "scnet")
    }
    testbed.at("a", ["scancel", job], check=True)
    assert seen == {"ada": True, "grace": False, "scnet": True}


@contextmanager
def _listening(address: str) -> Iterator[int]:
    with socket.create_server((address, 0)) as server:
        yield server.getsockname()[1]


def _reaches(testbed: Testbed, where: str, address: str, port: int) -> bool:
    return testbed.at(where, ["timeout", "2", "bash", "-c", f"</dev/tcp/{address}/{port}"]).returncode == 0


def test_nodes_reach_the_hub_except_at_the_closed_centre(testbed: Testbed) -> None:
    need(testbed, "a", "b")
    with _listening(testbed.hub) as port:
        assert _reaches(testbed, "a/a1", testbed.hub, port) and _reaches(testbed, "b", testbed.hub, port)
        assert not _reaches(testbed, "b/b1", testbed.hub, port)
    assert _reaches(testbed, "b/b1", "b-login", 22)


def test_the_hub_reaches_nodes_except_at_the_closed_centre(testbed: Testbed) -> None:
    need(testbed, "a", "b")
    slurmd = 6818
    socket.create_connection((f"{CENTRES['a'].lan(testbed.place)}.1", slurmd), timeout=5).close()
    with pytest.raises(OSError):
        socket.create_connection((f"{CENTRES['b'].lan(testbed.place)}.1", slurmd), timeout=1)


def test_centres_dont_see_each_other(testbed: Testbed) -> None:
    need(testbed, "a", "c")
    for where in ("a", "a/a1"):
        assert not _reaches(testbed, where, testbed.login("c"), 22)
        assert not _reaches(testbed, where, f"{CENTRES['c'].lan(testbed.place)}.254", 22)


def test_homes_are_private_and_the_same_on_every_node(testbed: Testbed) -> None:
    need(testbed, "a")
    testbed.at("a", ["sh", "-c", "echo mine >note"], account="ada", check=True)
    assert testbed.at("a/a3", ["cat", "note"], account="ada").stdout == "mine\n"
    assert testbed.at("a", ["cat", "/home/ada/note"], account="grace").returncode == 1


def test_a_folder_is_shown_read_only(testbed: Testbed, tmp_path: Path) -> None:
    (tmp_path / "word").write_text("hello")
    centre = testbed.centres[0]
    for _ in range(2):  # again replaces
        testbed.bind(tmp_path, "/opt/shown/here", centre)
    assert testbed.at(centre, ["cat", "/opt/shown/here/word"]).stdout == "hello"
    assert testbed.at(centre, ["touch", "/opt/shown/here/new"]).returncode == 1
    testbed.at(centre, ["umount", "/opt/shown/here"], check=True)


def test_every_fault_has_its_opposite() -> None:
    ends_by_up = {"dead"}
    assert set(faults.OPPOSITES) | set(faults.OPPOSITES.values()) | ends_by_up == set(faults.FAULTS)


@pytest.fixture(scope="module")
def spare(tmp_path_factory: pytest.TempPathFactory, testbed: Testbed) -> Iterator[Testbed]:
    need(testbed, "c")
    yield up(tmp_path_factory.mktemp("spare"), centres="c", place=SPARE)
    down(place=SPARE)


@pytest.mark.parametrize("fault", ["ctl-kill", "net-down", "sshd-kill", "forwarding-off"])
def test_a_fault_is_mended_by_its_opposite(spare: Testbed, fault: str) -> None:
    def works() -> tuple[bool, bool]:
        command = ["ssh-keyscan", "-T", "5", spare.login("c")]
        door = "ssh-ed25519" in subprocess.run(command, capture_output=True, text=True, timeout=30).stdout
        return door, spare.at("c", ["timeout", "10", "qstat"]).returncode == 0

    with spare.broken("c", fault):
        broken = works()
    assert broken == {"ctl-kill": (True, False), "forwarding-off": (True, True)}.get(fault, (False, True))
    assert works() == (True, True)


def test_up_again_leaves_what_stands_and_replaces_what_is_dead(spare: Testbed) -> None:
    first = spare.at("c", ["stat", "-c", "%i", "/etc/hosts"]).stdout
    page = spare.page("c").read_text()
    assert up(spare.folder, centres="c", place=SPARE).at("c", ["stat", "-c", "%i", "/etc/hosts"]).stdout == first
    spare.fault("c", "dead")
    with pytest.raises(life.NotUp):
        spare.at("c", ["true"])
    again = up(spare.folder, centres="c", place=SPARE)
    assert again.at("c", ["qhost"]).returncode == 0
    assert again.page("c").read_text() == page  # the same host key: who pinned it needn't learn a new one


def test_a_second_testbed_elsewhere_is_refused(spare: Testbed, tmp_path: Path) -> None:
    with pytest.raises(life.NotUp, match="make testbed-down"):
        up(tmp_path, centres="c", place=SPARE)


def test_the_last_user_ends_what_nobody_keeps(testbed: Testbed) -> None:
    place = Place(prefix="scother", network="10.80")
    with shared("", place=place) as first:
        with shared("", place=place) as second:
            assert second.folder == first.folder
        assert first.folder.exists() and place.records.exists()
    assert not first.folder.exists() and not place.records.exists()


def test_down_ends_what_a_killed_run_left(spare: Testbed) -> None:
    down(place=SPARE)
    script = (
        "from tests.real.testbed import Place, shared\nwith shared('c', place=Place('sctest', '10.79')): print('up', "
        "flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as user:
        assert user.stdout and user.stdout.readline() == "up\n"
        folder = Path((SPARE.records / "folder").read_text())
        user.send_signal(signal.SIGKILL)
    recorded = json.loads((SPARE.records / "c/life.json").read_text())
    assert Path(f"/proc/{recorded['pid']}").exists() and len(network.namespaces(SPARE)) == 3
    down(place=SPARE)
    left = [pid for pid in filter(str.isdigit, os.listdir("/proc")) if _pid_namespace(pid) == recorded["namespace"]]
    assert left == [] and network.namespaces(SPARE) == []
    assert not folder.exists() and not SPARE.records.exists()
    for question in (["ip", "link"], ["ip", "route", "show", "table", "all"]):
        assert _without_us(question)


def _without_us(question: list[str], seconds: float = 10) -> bool:
    """Links of a namespace that is gone follow it a moment later."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        said = subprocess.run(question, capture_output=True, text=True, timeout=30, check=True).stdout
        if SPARE.prefix not in said and f"{SPARE.network}." not in said:
            return True
        time.sleep(0.1)
    return False


def _pid_namespace(pid: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def test_a_recorded_number_that_is_another_process_now_is_left_alone(spare: Testbed) -> None:
    """Were it ended, there would be nobody to say so."""
    down(place=SPARE)
    share = SPARE.records / "c"
    share.mkdir(parents=True)
    record = {"pid": os.getpid(), "started": 1, "namespace": os.readlink("/proc/self/ns/pid")}
    (share / "life.json").write_text(json.dumps(record))
    (share / "ready").touch()
    assert not life.alive(CENTRES["c"], SPARE)
    down(place=SPARE)
    assert not share.exists()


def test_ci_installs_all_that_the_centres_need() -> None:
    listed = re.search(r"PACKAGES=\((.*?)\)", (ROOT / ".ci/run").read_text(), re.DOTALL)
    assert listed and set(needs.packages()) <= set(listed[1].split())
