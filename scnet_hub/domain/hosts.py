"""Where a session may listen: the host that it says, held against its centre's page and its scheduler's word.

The hub leads a person's browser to that host, so a session must not send it anywhere else. Pure; a refusal names the key of the
centre's page that would allow what was said. The rules, with examples, are in docs/explanation/ssh.md.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence

from ..errors import Refused
from .identifiers import lies_in


def in_networks(host: str, networks: Sequence[str], *, listen: str = "", centre: str) -> str:
    """The address `host` in its usual form, if it lies in one of the networks and is not the login node's own `listen`. Raises Refused."""
    found = address(host)
    if found and "%" not in found and found != address(listen) and lies_in(found, networks):
        return found
    if not found:
        hint = (
            f"Where network.nodes on {centre}'s page is set, a session says an address; the node found none of its own in these networks."
        )
    elif "%" in found:
        hint = f"An address with a zone counts on its own machine only: the node needs another, in network.nodes on {centre}'s page."
    else:
        hint = f"If its nodes have such addresses, add their network to network.nodes on {centre}'s page."
    raise Refused(f"{host} is not in the networks of nodes of {centre} ({', '.join(networks)}).", hint=hint, code="bad-host")


def on_node(host: str, node: str, *, domains: Callable[[], Iterable[str]] = frozenset, centre: str) -> str:
    """The fuller of two names of one node: what the session says, and what the scheduler (or session.host) says. Upper and lower case are
    one. A name with a domain is the short name's only where that domain is known to be the centre's, one of `domains()`. Raises Refused."""
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
            f"If it is the same machine, put the networks of its nodes into network.nodes on {centre}'s page: sessions say addresses then."
        )
    raise Refused(f"{host} is not where a session at {centre} can listen: its node is {node}.", hint=hint, code="bad-host")


def domains_of(names: Iterable[str]) -> set[str]:
    """The domains in full names; nothing of addresses, nor of a domain of one label, which is nobody's own."""
    found = (plain(name).partition(".")[2] for name in names if not address(name))
    return {domain for domain in found if "." in domain}


def plain(host: str) -> str:
    """A name in small letters without the final dot; an address in its usual form."""
    return address(host) or host.strip().lower().rstrip(".")


def address(host: str) -> str:
    """An IP address in its usual form, "" for what is none: without brackets, IPv4 where IPv6 only wraps it, the zone kept."""
    try:
        found = ipaddress.ip_address(host.strip().removeprefix("[").removesuffix("]"))
    except ValueError:
        return ""
    return str(getattr(found, "ipv4_mapped", None) or found)
