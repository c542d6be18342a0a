"""The options of a Lab that is to start: from a form, by JupyterHub's REST, in a link, or stored from the last start.

One set of rules for all: each key is honoured or refused in a sentence (law 4). Imports nothing of JupyterHub.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from ..display.request_fields import FIELDS, ON_FORM, SIZES
from ..domain.jobs import JobRequest
from ..domain.sessions import names, requests
from ..errors import BadOption
from .views.start_form import OWN

Json = dict[str, Any]
Profiles = Callable[[], Awaitable[Sequence[Json]]]
TYPED = 200  # characters of a field that are shown again
OF_JOBS = {
    "argv": "a Lab session runs JupyterLab and takes no command",
    "env": "a Lab session takes no environment variables",
    "files": "a Lab session takes no files",
}


def checked(wanted: Any, person: str, server: str) -> Json:
    """Returns the options of a start of that server, each valid. Raises BadOption."""
    if not isinstance(wanted, Mapping):
        raise BadOption("user_options must be a JSON object.")
    for name, why in OF_JOBS.items():
        if name in wanted:
            raise BadOption(
                f"{name}: {why}.", hint="Start a batch job instead: `scnet run`, or `POST sessions` at the broker."
            )
    if wanted.get("kind", "lab") != "lab":
        raise BadOption(
            "kind: JupyterHub starts sessions of kind 'lab' only.",
            hint="Start other kinds with `scnet run` or a FederatedCluster.",
        )
    if wanted.get("name", server) != server:
        raise BadOption(
            f"name: must be this server's name, {server!r}.",
            hint="The name is the last part of users/NAME/servers/SERVER.",
        )
    profile = wanted.get("profile", OWN)
    requests.text("profile", profile)
    sizes = {name: value for name, value in wanted.items() if name not in ("profile", "kind", "name")}
    requests.job_request(person, sizes)
    return {**sizes, **({"profile": profile} if "profile" in wanted else {})}


async def resolved(wanted: Json, profiles: Profiles) -> Json:
    """Returns the options with the sizes of their profile for those that are not given, in the broker's form. Raises
    BadOption."""
    sizes = {name: value for name, value in wanted.items() if name != "profile"}
    profile = wanted.get("profile", OWN)
    if profile == OWN or all(name in sizes for name in SIZES):
        return sizes
    return {**sizes_of(await profiles(), profile), **sizes}


def sizes_of(profiles: Sequence[Json], profile: str) -> Json:
    """Returns the sizes of a profile as options. Raises BadOption if there is no profile of that id."""
    for one in profiles:
        if one["id"] == profile:
            return size_of(one)
    known = ", ".join(str(one["id"]) for one in profiles) or "none"
    raise BadOption(f"There is no profile {profile[:40]!r}.", hint=f"Profiles: {known}; or give {', '.join(SIZES)}.")


def size_of(profile: Json) -> Json:
    """Returns a profile's size as options."""
    return {field.name: profile[field.key] or field.default for field in FIELDS if field.sized and field.key in profile}


def document(request: JobRequest) -> Json:
    """Returns the request as options in plain JSON, for JupyterHub to store and for the broker to read again."""
    found = names.request_document(request)
    return {field.name: found[field.key] for field in FIELDS if field.on_form and (field.sized or found[field.key])}


def linked(query: Mapping[str, Sequence[str]]) -> Json:
    """Returns what a link fills into the form: the first value of each of its fields, as text."""
    found = {
        name: str(values[0])[:TYPED]
        for name, values in query.items()
        if name in ("profile", *ON_FORM) and values and values[0]
    }
    return {"profile": OWN, **found} if any(name in found for name in SIZES) else found


def read(data: bytes) -> Any:
    """Reads a body of JupyterHub's REST; None for an empty body. Raises BadOption for a body that is not a JSON object
    in UTF-8."""
    try:
        found = json.loads(data.decode()) if data.strip() else None
    except UnicodeDecodeError as error:
        raise BadOption("The body is not UTF-8 text.") from error
    except (ValueError, RecursionError) as error:
        raise BadOption("The body is not JSON.") from error
    if not (found is None or isinstance(found, dict)):
        raise BadOption("The body must be a JSON object.")
    return found


def refuse_strays(found: Any) -> None:
    """Raises BadOption for options beside `user_options`, which JupyterHub would ignore."""
    known = {"user_options", "display_name"}
    stray = sorted(set(found) - known) if isinstance(found, dict) and found.keys() & known else []
    if stray:
        raise BadOption(
            f"Unknown field {stray[0][:40]!r}.",
            hint="Known: display_name, user_options; put options inside user_options.",
        )


def refuse_changes(found: Mapping[str, Any]) -> None:
    """Raises BadOption for fields that can't be changed on a stopped server, and for a new name that is not text."""
    known = ("display_name", "name", "user_options")
    stray = sorted(set(found) - {*known})
    if stray:
        raise BadOption(f"Unknown field {stray[0][:40]!r}.", hint=f"Known: {', '.join(known)}.")
    if not isinstance(found.get("name") or "", str):
        raise BadOption("name: must be text.")
