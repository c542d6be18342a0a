"""Tests the hub's client of the broker: a postponed call is repeated while there is time, and lists are read page by
page."""

from __future__ import annotations

import httpx
import pytest

from scnet_hub.errors import TooMany
from scnet_hub.hub.broker_client import Broker

BUSY = {"code": "too-many-requests", "title": "busy", "family": "refused"}


async def test_a_call_that_is_put_off_is_sent_again() -> None:
    asked = list[str]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["x-scnet-person"])
        return (
            httpx.Response(429, json=BUSY, headers={"Retry-After": "1"})
            if len(asked) == 1
            else httpx.Response(200, json={"ok": True})
        )

    broker = Broker("http://broker", "t", transport=httpx.MockTransport(answer))
    assert await broker.call("GET", "me", "ada") == {"ok": True} and asked == ["ada", "ada"]


async def test_it_is_not_where_its_time_would_be_over() -> None:
    asked = list[str]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(503, json=BUSY, headers={"Retry-After": "9"})

    with pytest.raises(TooMany, match="busy"):
        await Broker("http://broker", "t", transport=httpx.MockTransport(answer)).call("GET", "me", "ada", timeout=1)
    assert asked == ["/me"]


async def test_the_list_of_labs_is_that_of_all_pages() -> None:
    asked = list[dict[str, str]]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(dict(request.url.params))
        return httpx.Response(
            200, json={"sessions": [{"id": f"s{len(asked)}"}], "next": "s1" if len(asked) == 1 else None}
        )

    found = await Broker("http://broker", "t", transport=httpx.MockTransport(answer)).labs(timeout=5)
    assert [one["id"] for one in found] == ["s1", "s2"]
    assert [(one["kind"], one["brief"], one.get("after")) for one in asked] == [("lab", "1", None), ("lab", "1", "s1")]
