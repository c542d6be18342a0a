"""Where this installation's processes listen, and its address: `ports.json` of the state folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ..domain.addresses import Address
from ..errors import SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The ports of the processes: `public`, the proxy's, on `host`; the others on loopback. `url` is this
    installation's address if it differs from the proxy's (behind TLS, below a path); with `subdomains` each person's
    servers have a separate name under it."""

    host: str = "127.0.0.1"
    public: int = 8000
    hub: int = 8081
    proxy_api: int = 8001
    broker: int = 8085
    url: str = ""
    subdomains: bool = False

    @property
    def address(self) -> Address:
        """The address that people open. Raises SpecError if the address is not valid."""
        return Address.parse(self.url or f"http://{self.host}:{self.public}/")

    @property
    def proxy_url(self) -> str:
        """The URL by which this machine reaches the proxy."""
        return f"http://{'127.0.0.1' if self.host in ('', '0.0.0.0') else self.host}:{self.public}"

    @property
    def broker_api(self) -> str:
        """The URL by which this machine reaches the broker without the proxy."""
        return self.address.at(f"http://127.0.0.1:{self.broker}").api

    def check(self) -> None:
        """Raises SpecError if the address is not valid, or if the settings contradict each other."""
        address = self.address
        if self.subdomains and not address.named:
            raise SpecError(
                f"Each person's servers can't have a separate name under {address.host}: it is an IP address.",
                hint="Give the installation a name with a wildcard in DNS: `scnet demo --subdomains --url https://hub.example.org/`.",
            )

    @classmethod
    def read(cls, home: Path) -> Ports:
        """Reads `ports.json` in the state folder; without the file, returns the defaults."""
        path = home / "ports.json"
        return cls(**json.loads(path.read_text())) if path.exists() else cls()
