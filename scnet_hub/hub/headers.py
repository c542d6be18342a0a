"""What every answer of the hub tells the browser: whose scripts may run, who learns where a person was, who sees its cookies.

JupyterHub's own pages hold scripts in their HTML, so those stay allowed; what a page loads, sends and frames is the hub's own.
"""

from __future__ import annotations

from typing import Any

from jupyterhub.handlers.static import CacheControlStaticFilesHandler

from ..domain.addresses import Address

PLAIN = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}


def policy(address: Address, subdomains: bool) -> str:
    """The Content-Security-Policy of pages. A form may lead on to a person's own name, where each has one."""
    under = f" {address.origin.replace('://', '://*.', 1)}" if subdomains else ""
    return "; ".join(
        (
            "default-src 'self'", "script-src 'self' 'unsafe-inline'", "style-src 'self' 'unsafe-inline'", "img-src 'self' data:",
            "object-src 'none'", "base-uri 'self'", f"form-action 'self'{under}", "frame-ancestors 'none'",
            f"report-uri {address.hub_path}security/csp-report",
        )
    )  # fmt: skip


def tornado_settings(address: Address, subdomains: bool) -> dict[str, Any]:
    """For `c.JupyterHub.tornado_settings`: headers, and cookies that no other site's page can use."""
    return {
        "headers": {**PLAIN, "Content-Security-Policy": policy(address, subdomains)},
        "cookie_options": {"samesite": "Lax", **({"secure": True} if address.secure else {})},
        "static_handler_class": Static,
    }


class Static(CacheControlStaticFilesHandler):
    """Files, and the page of one that is missing, with the same headers."""

    def set_default_headers(self) -> None:
        for name, value in self.settings["headers"].items():
            self.set_header(name, value)
