"""The broker's REST as Python calls, for notebooks, panels, Dask and the command line.

The client finds the broker: `SCNET_API_URL` and a token from `SCNET_TOKEN` or `JUPYTERHUB_API_TOKEN` (every session has
both, and `SCNET_API_HOST`: the name by which the hub's proxy knows the broker), else the 0600 file `client.json` in
`SCNET_HOME` or `./.scnet`, which `scnet demo` writes. Answers are the JSON of docs/reference/rest.md; refusals are
raised as the exceptions of `errors.py`. This module imports nothing of the hub's side.
"""

from __future__ import annotations

import json
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from ..errors import BadOption, BrokerError, from_problem
from ..retry import TRIES, retry_after

Json = dict[str, Any]


def state_dir() -> Path:
    """Returns the folder of this installation's state: `SCNET_HOME`, else `.scnet` in the current folder."""
    return Path(os.environ.get("SCNET_HOME") or ".scnet").resolve()


def find_broker() -> tuple[str, str]:
    """Returns (API address, token) of the broker that this process uses. Raises BrokerError, which says what to set."""
    url, token = (
        os.environ.get("SCNET_API_URL", ""),
        os.environ.get("SCNET_TOKEN") or os.environ.get("JUPYTERHUB_API_TOKEN", ""),
    )
    if url and token:
        return url, token
    path = state_dir() / "client.json"
    try:
        saved = json.loads(path.read_text())
        return url or saved["url"], token or saved["token"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BrokerError(
            "No SCNet Hub found: this process is not in one of its sessions, and there is no client.json here.",
            hint=f"Start one with `scnet demo`, or set SCNET_API_URL and SCNET_TOKEN (looked for {path}).",
            code="no-broker",
        ) from error


class Client:
    """One HTTP connection pool to one broker. Thread-safe, like httpx.Client. A call that the broker postpones (429 or
    503 with Retry-After: nothing was done) is repeated after that time, at most twice."""

    def __init__(
        self,
        url: str = "",
        token: str = "",
        *,
        timeout: float = 30,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not (url and token):
            found_url, found_token = find_broker()
            url, token = url or found_url, token or found_token
        self.url, self.token, self._sleep = url.rstrip("/"), token, sleep
        host = (
            os.environ.get("SCNET_API_HOST", "") if self.url == os.environ.get("SCNET_API_URL", "").rstrip("/") else ""
        )
        self._http = httpx.Client(
            base_url=self.url + "/",
            headers={"Authorization": f"token {token}", **({"Host": host} if host else {})},
            timeout=timeout,
            transport=transport,
            trust_env=False,
            verify=_trusted(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def call(
        self, method: str, path: str, *, timeout: float | None = None, json: Json | None = None, **kwargs: Any
    ) -> Json:
        """Makes one call; raises the error that the broker's problem document names, or BrokerError if there is no
        answer."""
        body: Json = self._answer(method, path, timeout=timeout, json=json, **kwargs).json()
        return body

    def _answer(
        self, method: str, path: str, *, timeout: float | None = None, json: Json | None = None, **kwargs: Any
    ) -> httpx.Response:
        extra: Json = {} if timeout is None else {"timeout": timeout}
        if json is not None:
            extra |= {"content": _body(json), "headers": {"Content-Type": "application/json"}}
        for attempt in range(TRIES):
            try:
                answer = self._http.request(method, path, **extra, **kwargs)
            except httpx.TransportError as error:
                raise BrokerError(
                    f"The broker at {self.url} does not answer ({type(error).__name__}).", hint=self._hint()
                ) from error
            if answer.is_success:
                return answer
            if attempt + 1 == TRIES or (pause := retry_after(answer.status_code, answer.headers)) is None:
                break
            self._sleep(pause)
        raise from_problem(_problem(answer))

    def download(self, path: str, *, params: Json | None = None, timeout: float = 3600) -> Iterator[bytes]:
        """Yields a file of the broker part by part, however large; raises like `call`, before the first part."""
        try:
            with self._http.stream("GET", path, params=params, timeout=timeout) as answer:
                if not answer.is_success:
                    answer.read()
                    raise from_problem(_problem(answer))
                yield from answer.iter_bytes()
        except httpx.TransportError as error:
            raise BrokerError(
                f"The broker at {self.url} does not answer ({type(error).__name__}).", hint=self._hint()
            ) from error

    def _hint(self) -> str:
        if os.environ.get("SCNET_API_URL") or not (state_dir() / "client.json").exists():
            return (
                "Running sessions are not affected. Try again in a minute; if the broker still does not answer, "
                "tell the operators."
            )
        return f"Is the demo running? Start it with `make demo`; its logs are in {state_dir() / 'logs'}."

    def me(self) -> Json:
        return self.call("GET", "me")

    def centres(self) -> list[Json]:
        return list(self.listed("centres", "centres")["centres"])

    def place(self, **options: Any) -> Json:
        """Returns where a session with these options would be placed now, and why; starts nothing."""
        return self.call("POST", "placements", json=options)

    def place_cluster(self, jobs: Sequence[Json], **options: Any) -> Json:
        """Returns where all jobs of a cluster would be placed together, and what they would cost; starts nothing. Each
        of `jobs` is a size: cores, gpus, memory, and the count of jobs of that size."""
        return self.call("POST", "cluster-placements", json={**options, "jobs": [*jobs]})

    def explain(self, wanted: str) -> Json:
        """Explains why a session is where it is, or why a start was refused, by the id of either; the sentences are in
        `words`."""
        return self.call("GET", f"decisions/{_segment(wanted)}")

    def replay(self, wanted: str, *, policy: str = "") -> Json:
        """Repeats that decision from its recorded inputs, by the policy of that name (default: its own)."""
        return self.call("GET", f"decisions/{_segment(wanted)}/replay", params={"policy": policy} if policy else {})

    def submit(self, **options: Any) -> Json:
        """Returns the live session of that kind and name, or a new session."""
        return self.submit_new(**options)[0]

    def submit_new(self, **options: Any) -> tuple[Json, bool]:
        """Returns the same session, and whether it is new."""
        answer = self._answer("POST", "sessions", json=options)
        return answer.json(), answer.status_code == 201

    def sessions(self, *, all: bool = False) -> list[Json]:
        return list(self.session_list(all=all)["sessions"])

    def session_list(self, *, all: bool = False, kind: str = "") -> Json:
        """Returns the whole list with its `as_of`, read page by page."""
        params: Json = ({"all": 1} if all else {}) | ({"kind": kind} if kind else {})
        return self.listed("sessions", "sessions", params=params)

    def listed(self, path: str, *rows: str, params: Json | None = None, timeout: float | None = None) -> Json:
        """Returns a list's answer whose `rows` are those of all its pages."""
        asked = params or {}
        document = self.call("GET", path, params=asked, timeout=timeout)
        while (after := document.get("next")) is not None:
            page = self.call("GET", path, params={**asked, "after": after}, timeout=timeout)
            document = page | {name: document[name] + page[name] for name in rows}
        return document

    def session(self, session_id: str, *, wait: float = 0, seen: int = -1) -> Json:
        """Returns one session; with `wait` seconds, as soon as its version differs from `seen`."""
        params = {"wait": wait, "seen": seen} if wait else {}
        return self.call("GET", f"sessions/{_segment(session_id)}", params=params, timeout=wait + 30)

    def stop(self, session_id: str) -> Json:
        return self.call("DELETE", f"sessions/{_segment(session_id)}")

    def log(self, session_id: str, *, size: int = 0) -> str:
        """Returns the end of a session's output: its last `size` bytes, as many as the broker gives (0: its default of
        4000)."""
        return str(
            self.call("GET", f"sessions/{_segment(session_id)}/log", params={"size": size} if size else {})["log"]
        )

    def balance(self) -> list[Json]:
        return list(self.listed("balances", "balances")["balances"])

    def usage(self, **asked: str) -> Json:
        """Returns usage `by` day, centre, session, person or charge; of a `project`, a `person`, from `since` to
        `until` (days)."""
        return self.listed("usage", "rows", params={name: value for name, value in asked.items() if value})

    def entries(self, project: str, *, after: int = 0) -> list[Json]:
        """Returns the newest hundred entries of a project; entries older than the entry `after`, if given."""
        params: Json = {"project": project} | ({"after": after} if after else {})
        return list(self.call("GET", "entries", params=params)["entries"])


def _trusted() -> ssl.SSLContext | bool:
    """Returns the trusted certificates: the usual authorities, or those that SSL_CERT_FILE names, as for other
    programs."""
    own = os.environ.get("SSL_CERT_FILE")
    if not own:
        return True
    try:
        return ssl.create_default_context(cafile=own)
    except OSError as error:  # ssl.SSLError is a subclass
        raise BrokerError(
            f"SSL_CERT_FILE names {own}, which does not hold readable certificates: {error.strerror or error}.",
            hint="Set it to a PEM file of certificates, or unset it.",
            code="bad-certificates",
        ) from error


def _body(document: Json) -> bytes:
    """Returns a request's JSON. Raises BadOption for values that JSON can't hold: a date, NaN, an unpaired
    surrogate."""
    try:
        return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadOption(
            f"The request can't be sent: {error}.", hint="Options are text and integers, argv is a list of text."
        ) from error


def _segment(text: str) -> str:
    from urllib.parse import quote

    return quote(str(text), safe="")


def _problem(answer: httpx.Response) -> Json:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if isinstance(body, dict) and "code" in body:
        return body
    if answer.status_code in (401, 403):
        return {
            "code": "bad-token",
            "title": "The hub does not accept this token: it has expired, was revoked or lacks the scope.",
            "hint": "Restart your server on the hub's page, or create a new token there.",
        }
    return {
        "code": "broker-unreachable",
        "title": f"The broker answered {answer.status_code} without an explanation.",
        "hint": "The broker may be restarting: try again in a minute.",
    }


_lock = threading.Lock()


_shared: dict[int, Client] = {}


def shared_client() -> Client:
    """Returns this process's client (a forked child makes its own). Raises BrokerError if no broker is found."""
    with _lock:
        if os.getpid() not in _shared:
            _shared[os.getpid()] = Client()
        return _shared[os.getpid()]
