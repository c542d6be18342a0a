"""Defines the fields of a request: what a person may ask of a session, each field with its kind, bounds, default and
words.

This is the only table of the fields. The model of the broker's body (`broker/models/options.py`) and its checks
(`domain/sessions/requests.py`), the names in the start form, in links and in JupyterHub's REST (`hub/user_options.py`),
and the options of commands (`cli/options.py`) are made from it. Each field is an attribute of `domain.jobs.JobRequest`
by the same name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a field holds, and thus how it is written and checked."""

    TEXT = "text that can be printed"
    WORD = "letters, digits, '.', '_' and '-'"
    MODEL = "letters, digits, '.', '_', '+' and '-'"
    COUNT = "a whole number"
    MEMORY = "4G or 512M, or bytes"
    WALLTIME = "30m, 2h or 1-12:00:00, or seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field. `least` and `most` bound a COUNT, and `choices` a WORD (empty: any). `default` is what the start form
    shows first, if the field is `on_form`. The `sized` fields together are a size, which a profile may give. The
    `option` fields are options of commands, with `words` as their help."""

    name: str
    kind: Kind
    words: str
    least: int = 0
    most: int = 0
    choices: tuple[str, ...] = ()
    default: str | int = ""
    on_form: bool = False
    sized: bool = False
    option: bool = False

    @property
    def key(self) -> str:
        """Returns the field's name in stored requests and in profiles, where a walltime is a number of seconds."""
        return f"{self.name}_s" if self.kind is Kind.WALLTIME else self.name


FIELDS = (
    Field(name="kind", kind=Kind.WORD, choices=("lab", "dask", "batch"), words="The kind of session (default: lab)."),
    Field(name="name", kind=Kind.TEXT, words="The person's name for the session; for kind lab that of the JupyterHub "
    "server."),
    Field(
        name="cores", kind=Kind.COUNT, least=1, most=100_000, default=1, on_form=True, sized=True, option=True,
        words="Total cores (default: 1).",
    ),
    Field(
        name="gpus", kind=Kind.COUNT, most=10_000, default=0, on_form=True, sized=True, option=True,
        words="Total GPUs or DCUs (default: 0).",
    ),
    Field(name="gpu_model", kind=Kind.MODEL, on_form=True, option=True, words="Only GPUs of this model."),
    Field(
        name="walltime", kind=Kind.WALLTIME, default="1h", on_form=True, sized=True, option=True,
        words="The walltime: 30m, 2h, 1-12:00:00 (default: 1h).",
    ),
    Field(
        name="memory", kind=Kind.MEMORY, on_form=True, sized=True, option=True,
        words="Total memory: 4G, 512M (default: the centre's share for the cores).",
    ),
    Field(name="nodes", kind=Kind.COUNT, least=1, most=10_000, default=1, option=True, words="Spread over this many "
    "nodes (default: 1)."),
    Field(name="centre", kind=Kind.WORD, on_form=True, option=True, words="Only this centre."),
    Field(name="partition", kind=Kind.WORD, option=True, words="Only this partition."),
    Field(name="project", kind=Kind.WORD, on_form=True, option=True, words="The paying project (default: your first)."),
    Field(name="ends_with", kind=Kind.WORD, words="The id of your session with which this one ends (default: none)."),
    Field(name="app", kind=Kind.TEXT, words="The app to start."),
    Field(name="dataset", kind=Kind.TEXT, words="The dataset to work on."),
    Field(name="dashboard", kind=Kind.TEXT, words="The hub's path to a page about the session: a Dask cluster's "
    "dashboard."),
    Field(
        name="second_chance", kind=Kind.WORD, choices=("auto", "yes", "no"), default="auto", option=True,
        words="Also submit it elsewhere if it does not start; only the first to start runs: auto (unless a centre or "
        "files there are named), yes, no (default: auto).",
    ),
)  # fmt: skip
ON_FORM = tuple(field.name for field in FIELDS if field.on_form)
SIZES = tuple(field.name for field in FIELDS if field.sized)
