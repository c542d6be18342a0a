"""Debian's nginx before the hub, as docs/how-to/address.md configures it: the tests run the page's own block, with
ports and a certificate of theirs in it."""

from __future__ import annotations

import datetime
import ipaddress
import shutil
import ssl
import subprocess
import time
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from scnet_hub.demo.state import some_free_port

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "address.md"
MISSING = "nginx is missing: apt-get install nginx-light"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of its own for localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(now - day).not_valid_after(now + day).add_extension(names, critical=False)
    signed = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(
        key, hashes.SHA256()
    )
    cert, secret = folder / "front.pem", folder / "front.key"
    cert.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    secret.write_bytes(key.private_bytes(*form))
    return cert, secret


def site(folder: Path, port: int, behind: int) -> str:
    """The page's block as a whole configuration for `port` of loopback, in front of the port `behind`."""
    block = PAGE.read_text().split("```nginx\n")[1].split("```")[0]
    cert, key = certificate(folder)
    ours = {
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl; ssl_certificate {cert}; ssl_certificate_key {key};",
        "127.0.0.1:8000": f"127.0.0.1:{behind}",
        "server_name hub.example.org;": "server_name localhost;",
    }
    for theirs, mine in ours.items():
        assert block.count(theirs) == 1, f"{PAGE.name} lacks `{theirs}`"
        block = block.replace(theirs, mine)
    paths = " ".join(f"{name}_temp_path {folder / name};" for name in TEMPORARY)
    return f"""daemon off; master_process off; pid {folder / "pid"}; error_log {folder / "log"} warn;
events {{ worker_connections 4096; }}
http {{ access_log off; {paths}
{block} }}
"""


class Front:
    """Listens on a port of loopback with TLS and passes on to `behind`."""

    def __init__(self, folder: Path, behind: int) -> None:
        program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        assert program, MISSING
        self.port = some_free_port([])
        (folder / "nginx.conf").write_text(site(folder, self.port, behind))
        self.certificate = folder / "front.pem"
        self.trust = ssl.create_default_context(cafile=str(self.certificate))
        self._child = subprocess.Popen([program, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "log"])
        self._wait(folder)

    def _wait(self, folder: Path) -> None:
        end = time.monotonic() + 20
        with httpx.Client(verify=self.trust, trust_env=False) as http:
            while time.monotonic() < end and self._child.poll() is None:
                try:
                    http.get(f"https://localhost:{self.port}/")
                except httpx.HTTPError:
                    time.sleep(0.05)
                else:
                    return
        raise AssertionError(f"nginx does not listen: {(folder / 'log').read_text()}")

    def close(self) -> None:
        self._child.terminate()
        self._child.wait(timeout=20)
