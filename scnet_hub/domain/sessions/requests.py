"""Options, as a form or REST sends them, → JobRequest: the one place where a person's input crosses the door (law 4).

Unknown options, newlines, control characters, over-long text and numbers out of range are refused in a sentence. What
comes out is typed and bounded; whether it fits anywhere is placement's question.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from ...display.request_fields import FIELDS, Field, Kind
from ...errors import BadOption
from ...units import parse_memory, parse_walltime
from ..jobs import JobRequest
from ..standard.tariff import MODEL

KNOWN = frozenset(field.name for field in FIELDS)
MAX_TEXT = 200
MAX_MEMORY = 2**50
MIN_WALLTIME, MAX_WALLTIME = timedelta(minutes=1), timedelta(days=366)
MAX_PAYLOAD = 64 * 1024
MAX_FILES, MAX_FILE_BYTES = 50, 128 * 1024  # as base64 beside argv and env they stay under the broker's limit of a body
LARGE = "Put large inputs into your home at the centre, and name them by their path there."
CHARACTERS = {Kind.WORD: re.compile(r"[A-Za-z0-9._-]*", re.ASCII), Kind.MODEL: re.compile(rf"{MODEL}*", re.ASCII)}


def job_request(person: str, options: Mapping[str, Any]) -> JobRequest:
    """The request in `options` (see docs/reference/rest.md). Raises BadOption naming the option and what is wrong."""
    if not isinstance(options, Mapping):
        raise BadOption("The options must be a JSON object.")
    unknown = sorted(str(key)[:40] for key in set(options) - KNOWN)
    if unknown:
        raise BadOption(
            f"Unknown option {unknown[0]!r}.",
            hint=f"Known: {', '.join(sorted(KNOWN))}.",
            details={"unknown": unknown[:10]},
        )
    given = {
        field.name: CHECKS[field.kind](field, value)
        for field in FIELDS
        if (value := options.get(field.name)) not in (None, "")
    }
    nodes = given.get("nodes", 1)
    if given.get("cores", 1) % nodes or given.get("gpus", 0) % nodes:
        raise BadOption(f"nodes: cores and gpus are the whole job's and must be multiples of {nodes} nodes.")
    return JobRequest(**{"person": person, "project": "", **given})


def text(name: str, value: Any, kind: Kind = Kind.WORD) -> str:
    if not isinstance(value, str):
        raise BadOption(f"{name}: must be text, not {type(value).__name__}.")
    if len(value) > MAX_TEXT:
        raise BadOption(f"{name}: {len(value)} characters are too many; at most {MAX_TEXT}.")
    if any(not character.isprintable() for character in value):
        raise BadOption(f"{name}: must not hold line breaks or control characters.")
    if kind in CHARACTERS and not CHARACTERS[kind].fullmatch(value):
        raise BadOption(f"{name}: {value[:40]!r} may hold only {kind.value}.")
    return value


def _text(field: Field, value: Any) -> str:
    checked = text(field.name, value, field.kind)
    if field.choices and checked not in field.choices:
        raise BadOption(f"{field.name}: {checked!r} is not one of {', '.join(field.choices)}.")
    return checked


def _count(field: Field, value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r" *-?\d{1,12} *", value, re.ASCII):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadOption(f"{field.name}: {str(value)[:40]!r} is not a whole number.")
    if not field.least <= value <= field.most:
        raise BadOption(f"{field.name}: {value} is out of range; it must be from {field.least:,} to {field.most:,}.")
    return value


def _memory(field: Field, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise BadOption(f"{field.name}: write it like 4G or 512M.")
    size = parse_memory(value)
    if not 0 <= size <= MAX_MEMORY:
        raise BadOption(f"{field.name}: must be from 0 (the centre's default) to 1 PiB.")
    return size


def _walltime(field: Field, value: Any) -> timedelta:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadOption(f"{field.name}: write it like 30m, 2h or 1-12:00:00.")
    if isinstance(value, float) and not value == value:
        raise BadOption(f"{field.name}: not a number.")
    duration = parse_walltime(value)
    if not MIN_WALLTIME <= duration <= MAX_WALLTIME:
        raise BadOption(
            f"{field.name}: must be from 1 minute to 366 days.", hint="Write it like 30m, 2h or 1-12:00:00."
        )
    return duration


CHECKS: Mapping[Kind, Callable[[Field, Any], Any]] = {
    Kind.TEXT: _text,
    Kind.WORD: _text,
    Kind.MODEL: _text,
    Kind.COUNT: _count,
    Kind.MEMORY: _memory,
    Kind.WALLTIME: _walltime,
}


def payload(kind: str, argv: Any, env: Any, files: Any = None) -> dict[str, Any]:
    """The argv and environment of a job that is not a lab: lists and mappings of text, 64 KiB in all; for a batch job
    the files sent along too, base64 by name."""
    if not isinstance(argv, list) or not argv or not all(isinstance(word, str) and word for word in argv[:1]):
        raise BadOption(f"argv: a {kind} session needs a list of words, the program first.")
    env = {} if env is None else env
    if not isinstance(env, Mapping):
        raise BadOption("env: must be a mapping of names to text.")
    words = [*argv, *env, *env.values()]
    if not all(isinstance(word, str) for word in words):
        raise BadOption("argv and env hold text only.")
    if any("\0" in word for word in words):
        raise BadOption("argv and env must not hold NUL characters.")
    if any("\ud800" <= character <= "\udfff" for word in words for character in word):
        raise BadOption("argv and env must be Unicode text: half a surrogate pair is none.")
    if not all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,199}", name) for name in env):
        raise BadOption("env: names are letters, digits and '_'.")
    if sum(len(word.encode()) for word in words) > MAX_PAYLOAD:
        raise BadOption(
            f"argv and env are over {MAX_PAYLOAD // 1024} KiB together.", hint="Put large inputs into a file."
        )
    sent = {"files": _files(kind, files)} if files else {}
    return {"argv": list(argv), "env": dict(env), **sent}


def _files(kind: str, files: Any) -> dict[str, str]:
    """Files for the job's own working folder: {relative name: base64}."""
    if kind != "batch":
        raise BadOption(f"files: only a batch job takes files, not a {kind} session.")
    if not isinstance(files, Mapping) or len(files) > MAX_FILES:
        raise BadOption(f"files: must be a mapping of at most {MAX_FILES} names to base64.")
    size = sum(_file_size(name, data) for name, data in files.items())
    if size > MAX_FILE_BYTES:
        raise BadOption(f"files: {size:,} bytes are too many; at most {MAX_FILE_BYTES // 1024} KiB in all.", hint=LARGE)
    folders = {name[: match.start()] for name in files for match in re.finditer("/", name)}
    if clash := sorted(folders & set(files)):
        raise BadOption(f"files: {clash[0]!r} is the name of a file and of a folder.")
    return dict(files)


def _file_size(name: Any, data: Any) -> int:
    """The bytes in one file. Its name must lead nowhere but into the job's folder."""
    text("files", name, Kind.TEXT)
    if not name or "\\" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise BadOption(f"files: {name[:40]!r} is not a plain relative name, like train.py or data/in.csv.")
    if len(name.encode(errors="replace")) > MAX_TEXT:
        raise BadOption(f"files: the name {name[:40]!r}... is over {MAX_TEXT} bytes.")
    try:
        return len(base64.b64decode(data, validate=True))
    except (ValueError, TypeError) as error:
        raise BadOption(f"files: {name[:40]!r} must come as base64.") from error
