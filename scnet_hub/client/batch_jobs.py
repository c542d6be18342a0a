"""A batch job for its owner: start it by a list of words, wait for it, follow its output, cancel it.

A batch job is a session of kind "batch", with the same placement, hold and metering as every other session. The command
line and the notebook both use `start` and `Job`. This module talks to the broker only; if the broker is away for a
while, it waits.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ..display import endings
from ..display.endings import outcome, succeeded
from ..display.session_states import CHARGED, ON_NODE, STOPPING
from ..errors import BadOption, ScnetError
from ..units import format_number
from . import job_files
from .rest import Client

Json = dict[str, Any]
AWAY = ("broker-unreachable", "hub-away", "fault")  # codes of refusals that pass without action
PATIENCE = 600.0  # seconds for which the broker may be away while a job is waited for
RETRIES = (1.0, 2.0)  # seconds before a job is submitted again
LOOK = 30.0  # seconds: the longest that one request waits for news
QUICK, SLOW = 1.0, 10.0  # seconds between reads of the output: while there is new output, and while there is none
WINDOW = 64 * 1024  # bytes of output that one request asks for
INTERPRETERS = ("python", "bash", "sh", "Rscript", "julia")
_QUOTED = re.compile(r"""'[^']*'|"[^"$`\\]*"|\\[^\n]""")  # characters that a shell does not change
_SHELL = re.compile(r"[|&;<>()$`*?\[\]{}~#!\n]")
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
Say = Callable[[str], object]


def start(
    client: Client,
    argv: str | Sequence[str | os.PathLike[str]],
    *,
    files: Iterable[str | os.PathLike[str]] | None = (),
    env: Mapping[str, str] | None = None,
    name: str = "",
    here: Path | None = None,
    **options: Any,
) -> Job:
    """Starts a job. `files` are sent along, and the program itself too if it is a file in this folder; None sends no
    files. A job without a name gets a unique name. `options` are those of a session: cores, memory, gpus, walltime,
    centre, ..."""
    words = command(argv)
    folder = (here or Path()).absolute()
    if isinstance(files, str | os.PathLike):
        raise BadOption("files: must be a list of paths.", hint=f"Write files=[{os.fspath(files)!r}].")
    by_itself = "" if files is None else job_files.program(words, folder)
    sent = job_files.gather([*(files or ()), *([by_itself] if by_itself else [])], folder)
    wanted = {key: value for key, value in options.items() if value is not None}
    wanted |= {"kind": "batch", "name": name or name_for(words), "argv": words}
    wanted |= {"env": dict(env) if isinstance(env, Mapping) else env} if env else {}
    wanted |= {"files": job_files.packed(sent)} if sent else {}
    session, new = submit(client, wanted)
    return Job(
        client, session, new=new or not name, sent=tuple(sent), left=tuple(job_files.left_here(words, sent, folder))
    )


def command(argv: Any) -> list[str]:
    """Returns the words of a command as text; a string is split at its spaces like a shell does, with quotes. Raises
    BadOption for words that need a shell."""
    try:
        words = split(argv) if isinstance(argv, str) else [os.fspath(word) for word in argv]
    except TypeError as error:
        raise BadOption(
            "The command must be a list of words, each of them text.", hint='Write ["--epochs", "3"], not 3.'
        ) from error
    if not words or not all(isinstance(word, str) for word in words):
        raise BadOption("The command must be a list of words, the program first.")
    return words


def split(line: str) -> list[str]:
    """Splits "python train.py 'a b'" into three words. Raises BadOption where a shell would do more than split."""
    special = _SHELL.search(_QUOTED.sub("", line))
    if special:
        hint = (
            f'For a shell, write ["bash", "-c", {line[:60]!r}]; to pass {special[0]!r} unchanged, write the command '
            "as a list of words."
        )
        raise BadOption(
            f"The command has {special[0]!r}, which only a shell understands; no shell is started.", hint=hint
        )
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise BadOption(
            f"The command can't be split into words: {error}.", hint="Write a list of words, the program first."
        ) from error
    if words and (setting := re.fullmatch(r"([A-Za-z_]\w*)=(.*)", words[0], re.DOTALL)):
        raise BadOption(
            f"The command begins with {words[0]!r}, which only a shell understands.",
            hint=f"Write env={{{setting[1]!r}: {setting[2]!r}}}.",
        )
    return words


def name_for(argv: Sequence[str]) -> str:
    """Returns a readable and unique name: ["python", "src/train.py"] → "train-k3x9fa"."""
    words = argv[1:] if Path(argv[0]).name.rstrip("0123456789.") in INTERPRETERS else []
    script = next((word for word in words if re.fullmatch(r"[^-].*\.[A-Za-z]{1,3}", word)), argv[0])
    stem = re.sub(r"[^A-Za-z0-9_]+", "-", Path(script).stem[:40], flags=re.ASCII).strip("-") or "job"
    return f"{stem}-{''.join(secrets.choice(_ALPHABET) for _ in range(6))}"


def submit(client: Client, wanted: Json) -> tuple[Json, bool]:
    """Submits a job; returns the session, and whether it is new. Repeats the call if the broker does not answer: the
    same name finds the same job, so a lost answer starts no job twice."""
    pauses = iter(RETRIES)
    while True:
        try:
            return client.submit_new(**wanted)
        except ScnetError as error:
            if error.code != "broker-unreachable":
                raise
            if (pause := next(pauses, None)) is None:
                found = f"If the broker has accepted the job nevertheless, `scnet jobs` shows it as {wanted['name']}."
                error.hint = f"{error.hint} {found}".strip()
                raise
            time.sleep(pause)


class Job:
    """One batch job. `session` is the last answer of the broker (docs/reference/rest.md); `new` is False if a job of
    that name was already live; `sent` are the files that were sent along, `left` words of the command that name files
    which were not sent."""

    def __init__(
        self, client: Client, session: Json, *, new: bool = True, sent: Sequence[str] = (), left: Sequence[str] = ()
    ) -> None:
        self.client, self.session, self.new, self.sent, self.left = client, session, new, sent, left
        self._view: Any = None

    @property
    def id(self) -> str:
        return str(self.session["id"])

    @property
    def name(self) -> str:
        return str(self.session["name"])

    @property
    def centre(self) -> str:
        return str(self.session["centre"])

    @property
    def why(self) -> str:
        """Returns why the job was placed at that centre."""
        return str(self.session["why"])

    @property
    def state(self) -> str:
        """Returns the job's current state; asks the broker until the job has ended."""
        return outcome(self.refresh().session)

    @property
    def ok(self) -> bool | None:
        """Returns whether the program ended with exit code 0; None until the job has ended."""
        return None if self.session["live"] else succeeded(self.session)

    @property
    def reason(self) -> str:
        """Returns why the job ended, or what it waits for."""
        one = self.session
        return (
            str(one["reason"] or "")
            if one["live"]
            else "\n".join(filter(None, (endings.cause(one), *_rest(str(one["end_reason"] or "")))))
        )

    @property
    def exit_code(self) -> int | None:
        """Returns the program's exit code, 128 + N for signal N; None until the centre's usage record has it."""
        return endings.exit_code(self.session)

    def refresh(self) -> Job:
        """Asks the broker for the current state, unless the state is final."""
        if self.session["state"] != CHARGED:
            self.session = self.client.session(self.id)
        return self

    def wait(self, timeout: float | None = None) -> Job:
        """Waits until the job has ended, successfully or not (see `ok`, `reason`); returns the job. Raises TimeoutError
        after `timeout` seconds; the job continues."""
        end = None if timeout is None else time.monotonic() + timeout
        for _ in self.news(lambda: LOOK, end):
            pass
        return self

    def follow(self, write: Say = lambda text: print(text, end="", flush=True), note: Say | None = None) -> Job:
        """Writes the job's output as it grows, until the job has ended. `note` gets the broker's events meanwhile."""
        output, said = Output(), len(self.session.get("events") or ())
        for session in self.news(lambda: output.pause if running(self.session) else LOOK):
            for event in (session.get("events") or ())[said:]:
                said += 1
                if note:
                    note(str(event["message"]))
            text = output.take(self._window(), ended=not session["live"])
            if text:
                write(text)
        return self

    def news(self, pause: Callable[[], float], end: float | None = None) -> Iterator[Json]:
        """Yields the session now, after each change, and after each pause (seconds) at the latest; the last session has
        ended. Raises TimeoutError at `end` (monotonic seconds)."""
        yield self.session
        silent = 0.0
        while self.session["live"]:
            left = LOOK if end is None else end - time.monotonic()
            if left <= 0:
                raise TimeoutError(
                    f"Job {self.id} ({self.name}) has not ended: it is {outcome(self.session)}, and continues."
                )
            try:
                self.session = self.client.session(self.id, wait=min(pause(), left, LOOK), seen=self.session["version"])
                silent = 0.0
            except ScnetError as error:
                silent = silent or time.monotonic()
                if error.code not in AWAY or time.monotonic() - silent > PATIENCE:
                    raise
                time.sleep(min(QUICK, left))
                continue
            yield self.session

    def _window(self) -> str:
        """Returns the end of the output, as far as it is available now."""
        if self.session["live"] and not running(self.session):
            return ""
        try:
            return self.log(WINDOW)
        except ScnetError as error:
            if error.code not in AWAY or not self.session["live"]:
                raise
            return ""

    def log(self, size: int = 0) -> str:
        """Returns the end of the output: the last `size` bytes, or as many as the broker gives."""
        return self.client.log(self.id, size=size)

    def cancel(self) -> Job:
        """Asks the centre to stop the job, which is "stopping" until the centre confirms. Safe to repeat."""
        self.session = {**self.session, **self.client.stop(self.id)}
        return self

    def __repr__(self) -> str:
        reason = f" ({first_line(self.reason)})" if self.reason else ""
        return f"<Job {self.name} {self.id} at {self.centre or 'no centre'}: {outcome(self.session)}{reason}>"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Returns a live view if the notebook has widgets; a saved notebook keeps the view's snapshot."""
        try:
            from .panels import job_view

            self._view = self._view or job_view(self.client, self.session)
        except ImportError:  # the `notebook` extra is not installed
            return {"text/plain": repr(self), "text/html": self._repr_html_()}, {}
        data, metadata = self._view._repr_mimebundle_(**kwargs)
        return {**data, "text/plain": repr(self)}, metadata

    def _repr_html_(self) -> str:
        """Returns one line about the current state, or about the last known state if the broker can't be asked."""
        try:
            self.refresh()
            unsure = ""
        except ScnetError as error:
            unsure = f" <i>{escape(str(error))}</i>"
        one = self.session
        sent = f"sent: {', '.join(self.sent)}" if self.sent else ""
        credits = f"{cost(one)} credits" if one["charged"] is not None or one["in_flight"] else ""
        facts = (one.get("centre_name") or one["centre"], first_line(self.reason), credits, sent)
        rest = " · ".join(escape(fact) for fact in facts if fact)
        return (
            f"<div><b>{escape(self.name)}</b> <code>{escape(self.id)}</code> {escape(outcome(one))} · "
            f"{rest}{unsure}</div>"
        )


class Output:
    """A growing text of which only the end is visible: returns each whole line once. `pause` is the time in seconds
    until the next read: longer while nothing is added."""

    def __init__(self) -> None:
        self._seen = self._part = ""
        self.pause = QUICK

    def take(self, window: str, *, ended: bool = False) -> str:
        """Returns the whole lines that are new in `window`; once the job has `ended`, the rest."""
        window = window if ended else window.rstrip("\ufffd")  # half a character: the rest follows
        fresh = news(self._seen, window) if window else ""
        self._seen = window or self._seen
        self.pause = QUICK if fresh else min(self.pause * 1.5, SLOW)
        text = re.sub("\r\n|\r(?=[^\n])", "\n", self._part + fresh)  # a last \r may still get its \n
        cut = len(text) if ended else text.rfind("\n") + 1
        self._part = text[cut:]
        return text[:cut]


def news(before: str, now: str) -> str:
    """Returns what `now` has after `before`; both are the ends of one growing text, perhaps cut within a character."""
    if now.startswith(before):
        return now[len(before) :]
    now = now.lstrip("\ufffd")
    at = before.find(now[:40]) if now else -1
    while at >= 0:
        if now.startswith(before[at:]):
            return now[len(before) - at :]
        at = before.find(now[:40], at + 1)
    return f"[...]\n{now}" if now else ""


def first_line(text: str) -> str:
    return text.partition("\n")[0]


def running(session: Json) -> bool:
    return session["state"] in (*ON_NODE, STOPPING)


def _rest(text: str) -> list[str]:
    """Returns all lines except the first."""
    return text.splitlines()[1:]


def cost(session: Json) -> str:
    """Returns the cost in credits: the charge; before the charge the estimate so far, marked as an estimate; "-"
    without either."""
    if session["charged"] is not None:
        return format_number(session["charged"])
    return f"~{format_number(session['in_flight'])}" if session["in_flight"] else "-"
