"""Rules: what makes an offer unfit for a request, each a sentence with its limit.

A rule answers "" if the offer fits. `RULES` are asked in this order and the first reason is the one people see, so the
person's own choice comes first and what they can change by asking for less comes last. A new rule is a function and a line.
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
    return f"costs {price} an hour; the limit is {credits(request.max_price)}" if price > credits(request.max_price) else ""


def up(request: JobRequest, offer: Offer) -> str:
    if offer.state == "down":
        return offer.why or "the centre is down"
    if offer.state == "unknown" or offer.load is None:
        return offer.why or "the centre has not said yet how full it is"
    return "" if offer.load.up else f"the centre has closed partition {offer.partition}"


def fresh(request: JobRequest, offer: Offer) -> str:
    """A centre that was not heard of lately is a guess: one that looks idle and is dead would swallow every request."""
    if offer.age is not None and offer.age > offer.max_age:
        return f"last heard of {format_duration(offer.age)} ago; the limit is {format_duration(offer.max_age)}"
    return (offer.why or "its last answer is too old") if offer.state == "stale" else ""


def walltime(request: JobRequest, offer: Offer) -> str:
    limits = [offer.max_walltime, *([offer.load.max_walltime] if offer.load and offer.load.max_walltime else [])]
    if request.walltime > min(limits):
        return f"needs {format_duration(request.walltime)}; the limit is {format_duration(min(limits))}"
    return ""


def maintenance(request: JobRequest, offer: Offer) -> str:
    if offer.open_for is None or request.walltime <= offer.open_for:
        return ""
    if not offer.open_for:
        return "in maintenance now"
    return f"needs {format_duration(request.walltime)}; maintenance begins in {format_duration(offer.open_for)}"


def announced(request: JobRequest, offer: Offer) -> str:
    """A centre may say that nothing is to start there for a time."""
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
    need = shape_of(request, offer).cores
    return f"needs {count(need, 'core')} on one node; the largest has {offer.cores}" if need > offer.cores else ""


def gpus(request: JobRequest, offer: Offer) -> str:
    need = shape_of(request, offer).gpus
    if need <= offer.gpus:
        return ""
    return f"needs {count(need, 'GPU')} on one node; " + (f"the largest has {offer.gpus}" if offer.gpus else "it has no GPU")


def priced(request: JobRequest, offer: Offer) -> str:
    """What has no price isn't free: it could never be charged, and would look the cheapest."""
    return "its GPUs have no price: its centre's admins can give them one" if request.gpus and not offer.gpus_priced else ""


def memory(request: JobRequest, offer: Offer) -> str:
    need = shape_of(request, offer).memory
    if not offer.memory or need <= offer.memory:
        return ""
    share = "" if request.memory else f" ({format_memory(offer.memory_per_core)} a core, as none was asked for)"
    return f"needs {format_memory(need)} of memory on one node{share}; the largest has {format_memory(offer.memory)}"


def working(request: JobRequest, offer: Offer) -> str:
    """Enough of the nodes that are up now could ever run it: else the job would wait for a repair."""
    if offer.load is None or offer.seen is None or not offer.load.nodes:
        return ""
    able = offer.seen.could_hold(shape_of(request, offer))
    if able >= request.nodes:
        return ""
    return f"needs {count(request.nodes, 'node')} of that size; of its {offer.seen.working} working now, {able} would do"


RULES: tuple[Rule, ...] = (
    pinned, allowed, entitled, announced, up, fresh, cores, gpus, gpu_model, priced, memory, nodes, walltime, maintenance, affordable,
    working,
)  # fmt: skip


def refusal(request: JobRequest, offer: Offer, rules: Sequence[Rule] = RULES) -> str:
    """The first reason against this offer; "" if it fits."""
    for rule in rules:
        if reason := rule(request, offer):
            return reason
    return ""
