"""The start form: what the spawner shows before a start, and the options in a posted form."""

from __future__ import annotations

from typing import Any

from ...display.request_fields import ON_FORM, SIZES
from ...domain.sessions import requests
from ...errors import BadOption, ScnetError
from ..failures import refused
from ..handlers import facts
from ..spawner import FederatedSpawner
from ..user_options import TYPED, document, size_of, sizes_of
from .start_form import OWN, environment, render_form, wrong_field

Json = dict[str, Any]
TEMPLATES = environment()


async def options_form(spawner: FederatedSpawner) -> str:
    """Renders the form as HTML, with current facts; the options of a link, or of the person's last start, are
    preselected."""
    link = getattr(spawner.handler, "linked", {})
    last = dict(spawner.user_options or {}) | link | spawner.refused_form
    spawner.refused_form = {}
    found = await facts(spawner, {})
    ids = [one["id"] for one in found["profiles"]]
    profile = last.get("profile", ids[0] if ids else OWN)
    chosen = (
        sizes_of(found["profiles"], profile) if profile in ids else {key: last[key] for key in SIZES if key in last}
    )
    found = await facts(spawner, {**chosen, **({"project": last["project"]} if last.get("project") else {})})
    profiles = [{**one, **size_of(one)} for one in found["profiles"]]
    urls = {"offers_url": spawner.hub.base_url + "scnet/offers", "accounts_url": spawner.hub.base_url + "accounts"}
    return render_form(TEMPLATES, {**found, **urls, "profiles": profiles, "defaults": last})


async def options_from_form(form: dict[str, list[str]], spawner: FederatedSpawner) -> Json:
    """Converts a posted form to options, checked by the same function as in the broker. Raises BadOption or another
    refusal."""
    fields = {name: value for name, values in form.items() if values and (value := values[0].strip(" "))}
    try:
        unknown = sorted(set(fields) - {*ON_FORM, "profile", "_xsrf"})
        if unknown:
            raise BadOption(f"Unknown option {unknown[0][:40]!r}.")
        chosen: Json = {name: fields[name] for name in ON_FORM if name in fields}
        profile = fields.get("profile", OWN)
        if profile != OWN:
            chosen |= sizes_of(await spawner.listed_profiles(), profile)
        request = requests.job_request(spawner.user.name, chosen)
    except ScnetError as error:
        spawner.refused_form = {name: value[:TYPED] for name, value in fields.items() if name in ("profile", *ON_FORM)}
        spawner.refused_form["wrong"] = wrong_field(error.problem())
        raise refused(error) from error
    return {**document(request), "profile": profile}
