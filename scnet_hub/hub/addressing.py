"""JupyterHub's addresses, all from one setting: this installation's address in the state folder (`ports.json`).

JupyterHub has five settings for its addresses. If the configuration or an argument contradicts the installation's
address, the hub does not start, and names the setting. A contradiction that shows only when browsers connect is logged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyterhub.log import log_request
from jupyterhub.utils import get_browser_protocol

from ..domain.addresses import Address

if TYPE_CHECKING:
    from .ports import Ports

HINT = (
    'Remove that setting, and set the address once: `scnet demo --url {}`, or "url" in ports.json of the state folder.'
)


def set_addresses(c: Any, ports: Ports) -> None:
    address = ports.address
    c.JupyterHub.bind_url = f"{ports.proxy_url}{address.base_path}"
    c.JupyterHub.public_url = str(address)
    c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{ports.hub}"
    c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{ports.proxy_api}"
    c.OAuthenticator.oauth_callback_url = callback(address)
    if ports.subdomains:  # the broker answers at the hub's own name too, where clients and sessions look for it
        c.JupyterHub.subdomain_host = address.origin
        c.Proxy.extra_routes = {f"{address.host}{address.base_path}services/scnet/": f"http://127.0.0.1:{ports.broker}"}


def callback(address: Address) -> str:
    """Returns the URL to which an identity provider sends people back."""
    return f"{address.origin}{address.hub_path}oauth_callback"


def contradictions(hub: Any, ports: Ports) -> list[str]:
    """Lists the settings of JupyterHub that contradict the installation's address, as sentences."""
    address = ports.address
    names = address.origin if ports.subdomains else ""
    told = (
        ("base_url (or the path of bind_url)", hub.base_url, address.base_path),
        ("public_url", hub.public_url, str(address)),
        ("subdomain_host", hub.subdomain_host, names),
    )
    found = [
        f"c.JupyterHub.{name} is {value!r}, but this installation's address is {address}, so it must be {right!r}."
        for name, value, right in told
        if value != right
    ]
    for name, section in hub.config.items():
        said = section.get("oauth_callback_url", "") if name.endswith("OAuthenticator") else ""
        if said and said != callback(address):
            found.append(
                f"c.{name}.oauth_callback_url is {said!r}, but this installation's address is {address}: do not set it."
            )
    if hub.ssl_cert and not address.secure:
        found.append(
            f"c.JupyterHub.ssl_cert is set, but this installation's address is {address}: it begins with http."
        )
    return found


def stop_at_contradictions(hub: Any, ports: Ports) -> None:
    """Makes `hub.init_hub`, which reads the addresses after all configuration, exit if the addresses contradict each
    other."""
    begin = hub.init_hub

    def init_hub() -> None:
        if found := contradictions(hub, ports):
            hub.log.critical("%s %s", " ".join(found), HINT.format("https://hub.example.org/jupyter/"))
            hub.exit(1)
        begin()

    hub.init_hub = init_hub


class Scheme:
    """Logs requests as JupyterHub does; logs once if a browser connects by another scheme than that of the
    installation's address."""

    def __init__(self, ports: Ports) -> None:
        self.address, self._said = ports.address, False

    def __call__(self, handler: Any) -> None:
        came = get_browser_protocol(handler.request)
        forwarded = "X-Forwarded-Proto" in handler.request.headers or "X-Scheme" in handler.request.headers
        if not self._said and forwarded and came != self.address.origin.partition(":")[0] and self._is_browser(handler):
            self._said = True
            handler.log.error(
                "A browser connected by %s, but this installation's address is %s: its links and cookies are wrong. %s",
                came, self.address, HINT.format(str(self.address.at(f"{came}://{self.address.host}"))),
            )  # fmt: skip
        log_request(handler)

    def _is_browser(self, handler: Any) -> bool:
        """Tells browsers from sessions and the broker, which connect in other ways."""
        return "text/html" in handler.request.headers.get("Accept", "")
