"""The address of this installation, and every other address that follows from it. Pure.

`Address` is what people open in a browser, "https://hub.example.org/jupyter/": one setting. Hub, broker, sessions,
mails and commands derive theirs from it, so no two of them can differ.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import urlsplit

from ..errors import SpecError

SERVICE = "services/scnet/api/v1"  # the broker, below the base path
_PATH = re.compile(r"/([A-Za-z0-9._~-]+/)*", re.ASCII)
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\]", re.ASCII)
_LIKE = "Write it like https://hub.example.org/ or https://hub.example.org/jupyter/."


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """`origin` is scheme, host and port: "https://hub.example.org"; `base_path` begins and ends with "/"."""

    origin: str
    base_path: str = "/"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads an address. Raises SpecError for anything but scheme, host, port and a plain path."""
        text = text.strip()
        if not text.isprintable() or " " in text:
            raise SpecError(
                f"{text[:200]!r} is not a valid address: it contains a space or a control character.", hint=_LIKE
            )
        try:
            parts = urlsplit(text)
            host, port = parts.netloc.lower(), parts.port
        except ValueError as error:
            raise SpecError(f"{text[:200]!r} is not a valid address: {error}.", hint=_LIKE) from error
        if parts.scheme not in ("http", "https"):
            raise SpecError(f"{text[:200]!r} does not begin with http:// or https://.", hint=_LIKE)
        if parts.query or parts.fragment or not _HOST.fullmatch(host.removesuffix(f":{port}")):
            raise SpecError(
                f"{text[:200]!r} is not a valid address: a host, a port and a path are allowed.", hint=_LIKE
            )
        path = f"/{parts.path.strip('/')}/".replace("//", "/")
        if not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
            raise SpecError(f"{text[:200]!r}: its path may hold letters, digits and - . _ ~ only.", hint=_LIKE)
        if port == {"http": 80, "https": 443}[parts.scheme]:
            host = host.removesuffix(f":{port}")
        if host.removesuffix(f":{port}") in ("0.0.0.0", "[::]"):
            raise SpecError(
                f"{text[:200]!r} is where a process listens, not an address that a browser can open.",
                hint="Give the address that people open: `scnet demo --url http://hub.example.org:8000/`.",
            )
        return cls(origin=f"{parts.scheme}://{host}", base_path=path)

    def __str__(self) -> str:
        return self.origin + self.base_path

    @property
    def root(self) -> str:
        """Returns the address without the last "/": paths are added to it."""
        return str(self).rstrip("/")

    @property
    def host(self) -> str:
        """Returns the host without the port."""
        return urlsplit(self.origin).hostname or ""

    @property
    def netloc(self) -> str:
        """Returns host and port, as browsers name them in each request."""
        return urlsplit(self.origin).netloc

    @property
    def secure(self) -> bool:
        return self.origin.startswith("https://")

    @property
    def named(self) -> bool:
        """Tells whether its host is a name, which can have subdomains; an IP address can't."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return True
        return False

    @property
    def service_path(self) -> str:
        """Returns the broker's path, below any origin."""
        return f"{self.base_path}{SERVICE}"

    @property
    def hub_path(self) -> str:
        return f"{self.base_path}hub/"

    @property
    def api(self) -> str:
        """Returns the address of the broker's REST API."""
        return self.origin + self.service_path

    @property
    def hub_api(self) -> str:
        """Returns the address of JupyterHub's REST API."""
        return f"{self.origin}{self.hub_path}api"

    def at(self, origin: str) -> Self:
        """Returns the same paths at another process's origin."""
        return replace(self, origin=origin.rstrip("/"))


PREFIX = f"/{SERVICE}"  # at an address without a path of its own


USE, OPERATE = "custom:scnet:use", "custom:scnet:operate"
