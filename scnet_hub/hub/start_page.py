"""The start form: what the spawner shows before a start, and what a posted form becomes."""

from __future__ import annotations

from typing import Any

from .. import options
from ..errors import BadOption, ScnetError
from ..jobs import JobRequest
from .failures import refused
from .form import OWN, environment, render_form, wrong_field
from .handlers import facts
from .spawner import FederatedSpawner

Json = dict[str, Any]
SIZES = ("cores", "memory", "gpus", "walltime")
FIELDS = ("project", "centre", "gpu_model", *SIZES)
TEMPLATES = environment()


async def options_form(spawner: FederatedSpawner) -> str:
    """The form as HTML, with the facts of this moment; what the person chose last time is chosen again."""
    last = dict(spawner.user_options or {}) | spawner.refused_form
    spawner.refused_form = {}
    found = await facts(spawner, {})
    first = found["profiles"][0]["id"] if found["profiles"] else OWN
    chosen = sizes_of(found["profiles"], last.get("profile", first)) or {key: last[key] for key in SIZES if key in last}
    found = await facts(spawner, {**chosen, **({"project": last["project"]} if last.get("project") else {})})
    profiles = [{**one, "walltime": one["walltime_s"]} for one in found["profiles"]]
    urls = {"offers_url": spawner.hub.base_url + "scnet/offers", "accounts_url": spawner.hub.base_url + "accounts"}
    return render_form(TEMPLATES, {**found, **urls, "profiles": profiles, "defaults": last})


def sizes_of(profiles: list[Json], profile: str) -> Json:
    """The sizes of a profile as options; empty if there is none of that id."""
    for one in profiles:
        if one["id"] == profile:
            return {"cores": one["cores"], "memory": one["memory"] or "", "gpus": one["gpus"], "walltime": one["walltime_s"]}
    return {}


async def options_from_form(form: dict[str, list[str]], spawner: FederatedSpawner) -> Json:
    """A posted form → options, checked by the same function as at the broker's door. Raises an error in words."""
    fields = {name: values[0].strip() for name, values in form.items() if values and values[0].strip()}
    try:
        unknown = sorted(set(fields) - {*FIELDS, "profile", "_xsrf"})
        if unknown:
            raise BadOption(f"Unknown option {unknown[0][:40]!r}.")
        chosen: Json = {name: fields[name] for name in FIELDS if name in fields}
        profile = fields.get("profile", OWN)
        if profile != OWN:
            chosen |= await _profile(spawner, profile)
        request = options.job_request(spawner.user.name, chosen)
    except ScnetError as error:
        spawner.refused_form = {name: value[:200] for name, value in fields.items() if name in ("profile", *FIELDS)}
        spawner.refused_form["wrong"] = wrong_field(error.problem())
        raise refused(error) from error
    return {**_document(request), "profile": profile}


async def _profile(spawner: FederatedSpawner, profile: str) -> Json:
    listed = await spawner.broker.call("GET", "profiles", spawner.user.name, timeout=5)
    if not (sizes := sizes_of(listed["profiles"], profile)):
        raise BadOption(f"There is no profile {profile[:40]!r}.", hint="Choose one on the start page.")
    return sizes


def _document(request: JobRequest) -> Json:
    """The request as options of plain JSON, for JupyterHub to store and for the broker to read again."""
    texts = {name: getattr(request, name) for name in ("project", "centre", "gpu_model") if getattr(request, name)}
    sizes = {"cores": request.cores, "memory": request.memory, "gpus": request.gpus, "walltime": request.walltime.total_seconds()}
    return {**texts, **sizes}
