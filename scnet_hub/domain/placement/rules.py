"""Rules: the reasons that make an offer unfit for a request, each a sentence with its limit.

A rule returns "" if the offer fits. `RULES` are applied in this order and people see the first reason, so the person's
own choice comes first, and limits that they can avoid by asking for less come last. A new rule is a function and a
line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...display.times import minute
from ...units import credits, format_duration, format_memory
from ..jobs import JobRequest
from .offers import Offer, count, hourly_of, shape_of

Rule = Callable[[JobRequest, Offer], str]


def pinned(request: JobRequest, offer: Offer) -> str:
    if request.centre and request.centre != offer.centre:
        return f"you asked for {request.centre}"
    if request.partition and request.partition != offer.partition:
        return f"you asked for partition {request.partition}"
    return ""


def allowed(request: JobRequest, offer: Offer) -> str:
    return offer.refused


def entitled(request: JobRequest, offer: Offer) -> str:
    if not request.centres or offer.centre in request.centres:
        return ""
    return f"project {request.project} may use {' and '.join(request.centres)} only"


def affordable(request: JobRequest, offer: Offer) -> str:
    if request.max_price is None:
        return ""
    price = hourly_of(request, offer)
    return (
        f"costs {price} an hour; the limit is {credits(request.max_price)}"
        if price > credits(request.max_price)
        else ""
    )


def up(request: JobRequest, offer: Offer) -> str:
    if offer.state == "down":
        return offer.why or "the centre is down"
    if offer.state == "unknown" or offer.load is None:
        return offer.why or "the centre has not reported its load yet"
    return "" if offer.load.up else f"the centre has closed partition {offer.partition}"


def fresh(request: JobRequest, offer: Offer) -> str:
    """Refuses a centre whose last answer is old: a dead centre that looks idle would attract every request."""
    if offer.age is not None and offer.age > offer.max_age:
        return f"its last answer is {format_duration(offer.age)} old; the limit is {format_duration(offer.max_age)}"
    return (offer.why or "its last answer is too old") if offer.state == "stale" else ""


def walltime(request: JobRequest, offer: Offer) -> str:
    limit = offer.max_walltime
    if offer.load and offer.load.max_walltime:
        limit = min(limit, offer.load.max_walltime)
    return (
        f"needs {format_duration(request.walltime)}; the limit is {format_duration(limit)}"
        if request.walltime > limit
        else ""
    )


def maintenance(request: JobRequest, offer: Offer) -> str:
    if offer.open_for is None or request.walltime <= offer.open_for:
        return ""
    if not offer.open_for:
        return "in maintenance now"
    return f"needs {format_duration(request.walltime)}; maintenance begins in {format_duration(offer.open_for)}"


def announced(request: JobRequest, offer: Offer) -> str:
    """Refuses a centre that announces that no session is to start there for a time."""
    if offer.blocked is None:
        return ""
    return f"it starts no sessions until {minute(offer.blocked.end)}: {offer.blocked.message.rstrip('.')}"


def nodes(request: JobRequest, offer: Offer) -> str:
    return f"needs {request.nodes} nodes; it has {offer.nodes}" if request.nodes > offer.nodes else ""


def gpu_model(request: JobRequest, offer: Offer) -> str:
    if not request.gpu_model or request.gpu_model.lower() == offer.gpu_model.lower():
        return ""
    return f"needs a {request.gpu_model} GPU; it has {offer.gpu_model or ('another model' if offer.gpus else 'no GPU')}"


def cores(request: JobRequest, offer: Offer) -> str:
    if request.cores <= offer.cores:  # then each node's share too
        return ""
    need = shape_of(request, offer).cores
    return f"needs {count(need, 'core')} on one node; the largest has {offer.cores}" if need > offer.cores else ""


def gpus(request: JobRequest, offer: Offer) -> str:
    if request.gpus <= offer.gpus:
        return ""
    need = shape_of(request, offer).gpus
    if need <= offer.gpus:
        return ""
    return f"needs {count(need, 'GPU')} on one node; " + (
        f"the largest has {offer.gpus}" if offer.gpus else "it has no GPU"
    )


def priced(request: JobRequest, offer: Offer) -> str:
    """Refuses GPUs without a price. They are not free: they could never be charged, and would look the cheapest."""
    return (
        "its GPUs have no price: ask its centre's administrators to set it"
        if request.gpus and not offer.gpus_priced
        else ""
    )


def memory(request: JobRequest, offer: Offer) -> str:
    if not offer.memory:
        return ""
    need = shape_of(request, offer).memory
    if need <= offer.memory:
        return ""
    share = (
        "" if request.memory else f" ({format_memory(offer.memory_per_core)} per core, as the request names no amount)"
    )
    return f"needs {format_memory(need)} of memory on one node{share}; the largest has {format_memory(offer.memory)}"


def working(request: JobRequest, offer: Offer) -> str:
    """Requires that enough of the nodes that are up now could ever run the job: else it would wait for a repair."""
    if offer.load is None or offer.seen is None or not offer.load.nodes:
        return ""
    able = offer.seen.could_hold(shape_of(request, offer))
    if able >= request.nodes:
        return ""
    return (
        f"needs {count(request.nodes, 'node')} of that size; of its {offer.seen.working} working nodes, {able} can "
        "take it"
    )


RULES: tuple[Rule, ...] = (
    pinned, allowed, entitled, announced, up, fresh, cores, gpus, gpu_model, priced, memory, nodes, walltime,
    maintenance, affordable, working,
)  # fmt: skip


def refusal(request: JobRequest, offer: Offer, rules: Sequence[Rule] = RULES) -> str:
    """Returns the first reason against this offer; "" if it fits."""
    for rule in rules:
        if reason := rule(request, offer):
            return reason
    return ""
