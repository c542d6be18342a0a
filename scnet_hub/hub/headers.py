"""The headers of every answer of the hub: allowed scripts, referrers, cookies.

JupyterHub's own pages contain inline scripts, so these stay allowed. A page may load, send to and frame only the hub's
own addresses.
"""

from __future__ import annotations

from typing import Any

from jupyterhub.handlers.static import CacheControlStaticFilesHandler

from ..domain.addresses import Address

PLAIN = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}


def policy(address: Address, subdomains: bool) -> str:
    """Returns the Content-Security-Policy of pages. With `subdomains` a form may lead to a person's own host name."""
    under = f" {address.origin.replace('://', '://*.', 1)}" if subdomains else ""
    return "; ".join(
        (
            "default-src 'self'", "script-src 'self' "
            "'unsafe-inline'", "style-src 'self' 'unsafe-inline'", "img-src 'self' data:",
            "object-src 'none'", "base-uri 'self'", f"form-action 'self'{under}", "frame-ancestors 'none'",
            f"report-uri {address.hub_path}security/csp-report",
        )
    )  # fmt: skip


def tornado_settings(address: Address, subdomains: bool) -> dict[str, Any]:
    """Returns headers, and cookie options that keep other sites from using the cookies; for
    `c.JupyterHub.tornado_settings`."""
    return {
        "headers": {**PLAIN, "Content-Security-Policy": policy(address, subdomains)},
        "cookie_options": {"samesite": "Lax", **({"secure": True} if address.secure else {})},
        "static_handler_class": Static,
    }


class Static(CacheControlStaticFilesHandler):
    """Serves files, and the page for a missing file, with the same headers."""

    def set_default_headers(self) -> None:
        for name, value in self.settings["headers"].items():
            self.set_header(name, value)
