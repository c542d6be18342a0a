"""A person with a browser, in plain HTTP: logs in, posts the start form, follows redirects and cookies, runs code in a
kernel.

Used by `scnet demo --check`, the tests and the benchmarks, so that all three measure the actions of a person.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import uuid
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError, websocket_connect

from ..errors import ScnetError

Json = dict[str, Any]


class Browser:
    """One person's cookies at one hub (`url` is its address). `tls`: the authorities that this browser trusts, if not
    the usual ones."""

    def __init__(self, url: str, person: str, *, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.url, self.person = url.rstrip("/"), person
        self.base = f"{urlsplit(self.url).path}/"
        self.http = httpx.AsyncClient(
            base_url=self.url, follow_redirects=True, timeout=60, trust_env=False, verify=tls or True
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    def xsrf(self, path: str) -> str:
        """Returns the XSRF cookie for `path`, as seen from the installation's address: hub and server each have their
        own."""
        found = [
            cookie
            for cookie in self.http.cookies.jar
            if cookie.name == "_xsrf" and self._whole(path).startswith(cookie.path)
        ]
        return max(found, key=lambda cookie: len(cookie.path)).value or "" if found else ""

    def _whole(self, path: str) -> str:
        return self.base + path.lstrip("/")

    async def log_in(self, password: str) -> None:
        await self.http.get("/hub/login")
        form = {"username": self.person, "password": password, "_xsrf": self.xsrf("/hub/")}
        answer = await self.http.post("/hub/login", data=form, follow_redirects=False)
        if answer.status_code != 302:
            raise ScnetError(f"{self.person} could not log in ({answer.status_code}).", code="login")
        await self.http.get("/hub/home")

    async def start_page(self) -> str:
        answer = await self.http.get("/hub/spawn")
        return answer.text

    async def start(self, **form: str) -> None:
        """Posts the start form; returns when the hub has accepted it. Raises ScnetError with the message that the page
        shows."""
        path = f"/hub/spawn/{self.person}"
        answer = await self.http.post(path, params={"_xsrf": self.xsrf("/hub/")}, data=form, follow_redirects=False)
        if answer.status_code != 302:
            raise ScnetError(
                words_of(answer.text) or f"the start was refused ({answer.status_code})", code="start-refused"
            )

    async def progress(self) -> list[Json]:
        """Returns the hub's events of a start, to its end. Raises ScnetError with the message if it failed."""
        events: list[Json] = []
        async with self.http.stream(
            "GET",
            f"/hub/api/users/{self.person}/server/progress",
            headers={"Accept": "text/event-stream", **self._headers("/hub/")},
        ) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data:"):
                    events.append(json.loads(line[5:]))
                    if events[-1].get("failed"):
                        raise ScnetError(events[-1].get("message", "the start failed"), code="start-failed")
        return events

    def _headers(self, path: str) -> dict[str, str]:
        return {"X-XSRFToken": self.xsrf(path), "Referer": f"{self.url}/hub/home"}

    async def until_lab_answers(self, seconds: float = 90) -> None:
        """Asks the Lab's API through the proxy, as the page does, until it answers."""
        deadline = asyncio.get_running_loop().time() + seconds
        await self.progress()
        while (await self.http.get(f"/user/{self.person}/api")).status_code != 200:
            if asyncio.get_running_loop().time() > deadline:
                raise ScnetError("the Lab did not answer", code="not-ready")
            await asyncio.sleep(0.02)

    async def stop(self, seconds: float = 60) -> None:
        answer = await self.http.delete(f"/hub/api/users/{self.person}/server", headers=self._headers("/hub/"))
        answer.raise_for_status()
        deadline = asyncio.get_running_loop().time() + seconds
        while (
            (await self.http.get(f"/hub/api/users/{self.person}", headers=self._headers("/hub/")))
            .json()
            .get("servers", {})
            .get("")
        ):
            if asyncio.get_running_loop().time() > deadline:
                raise ScnetError("the server did not stop", code="not-stopped")
            await asyncio.sleep(0.1)

    async def kernel(self) -> Kernel:
        base = f"/user/{self.person}/"
        await self.http.get(f"{base}lab")
        answer = await self.http.post(f"{base}api/kernels", json={"name": "python3"}, headers=self._headers(base))
        answer.raise_for_status()
        return await self._connect(f"{base}api/kernels/{answer.json()['id']}/channels")

    async def again(self, kernel: Kernel) -> Kernel:
        """Returns the same kernel over a new connection."""
        return await self._connect(kernel.path)

    async def _connect(self, path: str) -> Kernel:
        jar = "; ".join(
            f"{cookie.name}={cookie.value}"
            for cookie in self.http.cookies.jar
            if self._whole(path).startswith(cookie.path)
        )
        address = f"{self.url.replace('http', 'ws', 1)}{path}"
        origin = self.url.removesuffix(self.base.rstrip("/"))
        socket = await websocket_connect(
            HTTPRequest(address, headers={"Cookie": jar, "Origin": origin}, ssl_options=self.tls)
        )
        return Kernel(socket, path)


class Kernel:
    """A running kernel behind its websocket."""

    def __init__(self, socket: WebSocketClientConnection, path: str) -> None:
        self.socket, self.path = socket, path

    async def run(self, code: str, seconds: float = 120) -> str:
        """Returns the output of `code` and its last value, as text. Raises ScnetError with the traceback if the code
        raised."""
        request = uuid.uuid4().hex
        header = {
            "msg_id": request,
            "msg_type": "execute_request",
            "username": "",
            "session": "scnet",
            "version": "5.3",
        }
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        message = {
            "header": header,
            "parent_header": {},
            "metadata": {},
            "content": content,
            "channel": "shell",
            "buffers": [],
        }
        try:
            await self.socket.write_message(json.dumps(message))
        except WebSocketClosedError as error:
            raise ScnetError("the kernel's connection closed", code="kernel-gone") from error
        try:
            async with asyncio.timeout(seconds):  # not wait_for: on 3.11 that can swallow a cancellation
                return await self._collect(request)
        except TimeoutError as error:
            raise ScnetError(f"the kernel did not answer in {seconds:.0f} s", code="kernel-silent") from error

    async def _collect(self, request: str) -> str:
        output = ""
        while True:
            data = await self.socket.read_message()
            if data is None:
                raise ScnetError("the kernel's connection closed", code="kernel-gone")
            message = json.loads(data)
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["header"]["msg_type"], message["content"]
            if kind == "stream" and content["name"] == "stdout":
                output += content["text"]
            elif kind in ("execute_result", "display_data"):
                output += content["data"].get("text/plain", "") + "\n"
            elif kind == "error":
                raise ScnetError("\n".join(plain(line) for line in content["traceback"]), code="kernel-error")
            elif kind == "status" and content["execution_state"] == "idle":
                return output

    def close(self) -> None:
        self.socket.close()


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def words_of(page: str) -> str:
    """Returns the error that a start page shows, without its markup."""
    found = re.search(r'class="[^"]*(?:spawn-error-msg|error)[^"]*"[^>]*>(.*?)</(?:p|div)>', page, re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[1])).strip() if found else ""
