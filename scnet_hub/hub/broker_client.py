"""The hub's REST client of the broker: async, in a person's name; raises refusals as the errors of `errors.py`."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import httpx

from ..errors import BrokerError, from_problem
from ..retry import TRIES, retry_after

Json = dict[str, Any]
PAGE = 1000  # sessions per answer
THE_HUB = ""  # instead of a person, for calls by a session's id: the id stays the same when an admin renames the owner


class Broker:
    """Calls the broker with the hub's token. The constructor opens no connection; connections are pooled and kept."""

    def __init__(self, url: str, token: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"token {token}"}, trust_env=False, timeout=30, transport=transport
        )

    async def call(
        self, method: str, path: str, person: str, *, operator: bool = False, timeout: float = 30, **kwargs: Any
    ) -> Json:
        """Returns the broker's answer. Raises the error of its problem document, or BrokerError without an answer
        within `timeout` s. `operator`: the hub vouches that this person is an operator and acts as an operator."""
        headers = {"X-SCNet-Person": quote(person)} | ({"X-SCNet-Operator": "yes"} if operator else {})
        try:
            answer = await self._request(method, f"{self.url}/{path}", timeout, headers=headers, **kwargs)
            body: Json = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise BrokerError(
                "The broker does not answer, so no session can be started or stopped at the centres now.",
                hint="Running sessions continue. Try again in a minute; if the error persists, tell the operators.",
            ) from error
        if answer.is_success:
            return body
        raise from_problem(body)

    async def _request(self, method: str, url: str, timeout: float, **kwargs: Any) -> httpx.Response:
        """Returns the answer. Repeats a call that the broker postpones, if there is time within `timeout` s."""
        deadline = asyncio.get_running_loop().time() + timeout
        for attempt in range(TRIES):
            left = deadline - asyncio.get_running_loop().time()
            answer = await self._http.request(method, url, timeout=left, **kwargs)
            pause = retry_after(answer.status_code, answer.headers)
            if pause is None or attempt + 1 == TRIES or asyncio.get_running_loop().time() + pause >= deadline:
                break
            await asyncio.sleep(pause)
        return answer

    async def labs(self, *, timeout: float) -> list[Json]:
        """Returns all live Lab sessions in brief, read page by page; each page within `timeout` s."""
        params = {"kind": "lab", "brief": 1, "limit": PAGE}
        return list((await self.listed("sessions", "sessions", THE_HUB, params=params, timeout=timeout))["sessions"])

    async def listed(self, path: str, rows: str, person: str, *, params: Json | None = None, **kwargs: Any) -> Json:
        """Returns a list's answer whose `rows` are those of all its pages; raises as `call` does."""
        document = await self.call("GET", path, person, params=params or {}, **kwargs)
        while (after := document.get("next")) is not None:
            page = await self.call("GET", path, person, params={**(params or {}), "after": after}, **kwargs)
            document = page | {rows: document[rows] + page[rows]}
        return document

    async def ensure(self, person: str, options: Json) -> Json:
        return await self.call("POST", "sessions", person, json=options)

    async def session(
        self, person: str, session_id: str, *, wait: float = 0, seen: int = -1, timeout: float = 30
    ) -> Json:
        params = {"wait": wait, "seen": seen} if wait else {}
        return await self.call(
            "GET", f"sessions/{quote(session_id, safe='')}", person, params=params, timeout=wait + timeout
        )

    async def stop(self, person: str, session_id: str, *, why: str = "", timeout: float = 30) -> Json:
        params = {"why": why} if why else {}
        return await self.call(
            "DELETE", f"sessions/{quote(session_id, safe='')}", person, params=params, timeout=timeout
        )
