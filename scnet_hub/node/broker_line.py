"""The session's connection to the broker, with its own token: its document, its next session, its end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

Json = dict[str, Any]


class Away(Exception):
    """The broker gave no answer; the sentence says why."""


class Refused(Exception):
    """The broker refused; `problem` is its document."""

    def __init__(self, status: int, problem: Json) -> None:
        super().__init__(f"{problem.get('title', '')} {problem.get('hint', '')}".strip())
        self.status, self.problem = status, problem


class Broker:
    """Calls the broker for this session: its document, its next session, its end."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.session = env.get("SCNET_SESSION", "")
        self._url, self._token = env.get("SCNET_API_URL", "").rstrip("/"), env.get("JUPYTERHUB_API_TOKEN", "")
        self._host = env.get("SCNET_API_HOST", "")
        self.known = bool(self.session and self._url and self._token)

    async def look(self) -> tuple[Json, datetime]:
        return await self._call("GET", "")

    async def go_on(self) -> Json:
        """Starts the next session, or finds it; returns its document."""
        return (await self._call("POST", "/continue"))[0]

    async def stop(self, why: str) -> None:
        from urllib.parse import urlencode

        await self._call("DELETE", "?" + urlencode({"why": why}))

    async def _call(self, method: str, rest: str) -> tuple[Json, datetime]:
        """Returns the answer and the broker's own time. Raises Away, Refused."""
        from tornado.httpclient import AsyncHTTPClient, HTTPRequest

        if not self.known:
            raise Away("This session has no broker address.")
        headers = {
            "Authorization": f"token {self._token}",
            "Content-Type": "application/json",
            **({"Host": self._host} if self._host else {}),
        }
        request = HTTPRequest(
            f"{self._url}/sessions/{self.session}{rest}", method=method, headers=headers,
            body="{}" if method == "POST" else None, connect_timeout=10, request_timeout=30, follow_redirects=False,
        )  # fmt: skip
        try:
            answer = await AsyncHTTPClient().fetch(request, raise_error=False)
            document = json.loads(answer.body or b"")
        except (OSError, ValueError) as error:
            raise Away(f"The broker does not answer ({error}).") from error
        if not isinstance(document, dict) or answer.code >= 500:
            raise Away(f"The broker answered {answer.code}.")
        if answer.code >= 400:
            raise Refused(answer.code, document)
        return document, _date(answer.headers.get("Date", ""))


def _date(text: str) -> datetime:
    """Returns the time of the broker's clock, so that a wrong clock of the node does not count."""
    try:
        return parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return datetime.now(UTC)
