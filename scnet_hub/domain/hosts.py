"""Checks where a session may listen: compares the host that it reports with its centre's page and its scheduler's
answer.

The hub sends a person's browser to that host, so a session must not point it anywhere else. Pure; a refusal names the
key of the centre's page that would allow the host. The rules, with examples, are in docs/explanation/ssh.md.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence

from ..errors import Refused
from .identifiers import lies_in


def in_networks(host: str, networks: Sequence[str], *, listen: str = "", centre: str) -> str:
    """Returns the address `host` in its usual form, if it lies in one of the networks and is not the login node's own
    `listen`. Raises Refused."""
    found = address(host)
    if found and "%" not in found and found != address(listen) and lies_in(found, networks):
        return found
    if not found:
        hint = (
            f"Where network.nodes on {centre}'s page is set, sessions report an address; this node found none of "
            "its own in these networks."
        )
    elif "%" in found:
        hint = (
            "An address with a zone is valid on its own machine only: the node needs another, in network.nodes on "
            f"{centre}'s page."
        )
    else:
        hint = f"If its nodes have such addresses, add their network to network.nodes on {centre}'s page."
    raise Refused(
        f"{host} is not in the networks of nodes of {centre} ({', '.join(networks)}).", hint=hint, code="bad-host"
    )


def on_node(host: str, node: str, *, domains: Callable[[], Iterable[str]] = frozenset, centre: str) -> str:
    """Returns the fuller of two names of one node: the session's own, and the scheduler's (or session.host). Case is
    ignored. A name with a domain belongs to the short name only where that domain is known to be the centre's, one of
    `domains()`. Raises Refused."""
    said, known = plain(host), plain(node)
    if said == known:
        return known
    (name, _, domain), (short, _, other) = said.partition("."), known.partition(".")
    names = not (address(said) or address(known))
    if names and name == short and not domain:
        return known
    if names and name == short and not other and domain in map(plain, domains()):
        return said
    if names and name == short and not other:
        hint = f'If {domain} is the domain of its nodes, say so on {centre}\'s page: network.domains = ["{domain}"].'
    else:
        hint = (
            f"If it is the same machine, add the networks of its nodes to network.nodes on {centre}'s page: "
            "sessions then report addresses."
        )
    raise Refused(
        f"{host} is not where a session at {centre} can listen: its node is {node}.", hint=hint, code="bad-host"
    )


def domains_of(names: Iterable[str]) -> set[str]:
    """Returns the domains in full names; ignores addresses, and domains of one label, which belong to no one."""
    found = (plain(name).partition(".")[2] for name in names if not address(name))
    return {domain for domain in found if "." in domain}


def plain(host: str) -> str:
    """Returns a name in lower case without the final dot; an address in its usual form."""
    return address(host) or host.strip().lower().rstrip(".")


def address(host: str) -> str:
    """Returns an IP address in its usual form, "" for other text: without brackets, IPv4 where IPv6 only wraps it, the
    zone kept."""
    try:
        found = ipaddress.ip_address(host.strip().removeprefix("[").removesuffix("]"))
    except ValueError:
        return ""
    return str(getattr(found, "ipv4_mapped", None) or found)
