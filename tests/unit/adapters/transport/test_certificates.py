"""The federation's SSH CA: its key, and what a certificate lets its holder do."""

import re
import subprocess
from pathlib import Path

import pytest

from scnet_hub.adapters.transport.certificates import CertificateAuthority, Credential
from scnet_hub.errors import BadOption, SpecError


def shown(credential: Credential, folder: Path) -> str:
    """The certificate as OpenSSH reads it."""
    file = folder / "one-cert.pub"
    file.write_bytes(credential.certificate.export_certificate("openssh"))
    return subprocess.run(
        ["ssh-keygen", "-L", "-f", str(file)], check=True, capture_output=True, text=True, timeout=10
    ).stdout


def extensions(text: str) -> list[str]:
    return re.findall(r"^ {16}(permit-\S+)$", text, re.MULTILINE)


def test_the_key_pair_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    first, second = CertificateAuthority.open(tmp_path), CertificateAuthority.open(tmp_path)
    private = tmp_path / "secrets" / "ssh_ca"
    assert first.public == second.public == (tmp_path / "secrets" / "ssh_ca.pub").read_text().strip()
    assert first.public.startswith("ssh-ed25519 ") and private.stat().st_mode & 0o777 == 0o600


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    CertificateAuthority.open(tmp_path)
    (tmp_path / "secrets" / "ssh_ca").chmod(0o644)
    with pytest.raises(SpecError, match="others can read"):
        CertificateAuthority.open(tmp_path)


def test_a_file_that_is_no_key_is_not_replaced(tmp_path: Path) -> None:
    CertificateAuthority.open(tmp_path)
    (tmp_path / "secrets" / "ssh_ca").write_text("something else")
    with pytest.raises(SpecError, match="not a private key"):
        CertificateAuthority.open(tmp_path)


def test_a_certificate_is_for_one_account_some_minutes_and_commands_only(tmp_path: Path) -> None:
    authority = CertificateAuthority.open(tmp_path)
    text = shown(authority.mint("u4711", "scnet:b:u4711"), tmp_path)
    assert 'Key ID: "scnet:b:u4711"' in text and re.search(r"Principals: *\n *u4711\n", text)
    assert extensions(text) == [] and "force-command" not in text


def test_a_certificate_for_forwards_runs_no_command(tmp_path: Path) -> None:
    text = shown(CertificateAuthority.open(tmp_path).mint("scnet", "scnet:b:forwards", forwarding=True), tmp_path)
    assert extensions(text) == ["permit-port-forwarding"] and "force-command /bin/false" in text


def test_a_certificate_is_dated_back_and_ends_in_minutes(tmp_path: Path) -> None:
    authority = CertificateAuthority(CertificateAuthority.open(tmp_path).key, clock=lambda: 1_700_000_000)
    credential = authority.mint("ada", "x", minutes=15)
    assert credential.valid_to.timestamp() == 1_700_000_000 + 15 * 60
    assert "from 2023-11-14T21:58:20 to 2023-11-14T22:28:20" in utc(credential, tmp_path)


def utc(credential: Credential, folder: Path) -> str:
    file = folder / "one-cert.pub"
    file.write_bytes(credential.certificate.export_certificate("openssh"))
    command = ["env", "TZ=UTC", "ssh-keygen", "-L", "-f", str(file)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout


def test_no_certificate_lives_longer_than_a_quarter_of_an_hour(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 to 15 minutes"):
        CertificateAuthority.open(tmp_path).mint("ada", "x", minutes=16)


@pytest.mark.parametrize("name", ["", "ada,root", "-oProxyCommand=x", "ada x", "ada\n", "Ada", "*"])
def test_what_is_no_account_gets_no_certificate(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadOption):
        CertificateAuthority.open(tmp_path).mint(name, "x")


def test_serials_differ_and_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "scnet_hub.adapters.transport.certificates")
    authority = CertificateAuthority.open(tmp_path)
    made = [authority.mint("ada", f"scnet:b:{number}") for number in range(3)]
    assert len({one.serial for one in made}) == 3
    for number, one in enumerate(made):
        assert f"serial {one.serial} for ada as scnet:b:{number}, valid to {one.valid_to.isoformat()}" in caplog.text
