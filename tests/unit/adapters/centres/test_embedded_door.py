"""Tests the socket of an embedded centre's daemon: a request that never ends is dropped, and other requests are
answered."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from scnet_hub.demo.embedded.request import Answer, Question
from scnet_hub.demo.embedded.serving import LARGEST, Door
from scnet_hub.demo.embedded.settings import socket_path


async def said(question: Question) -> Answer:
    return Answer(0, " ".join(question.argv), "")


async def test_a_question_without_an_end_is_dropped_and_the_next_is_answered(short_path: Path) -> None:
    door = Door(short_path, said, dict)
    await door.open()
    try:
        async with asyncio.timeout(30):
            reader, writer = await asyncio.open_unix_connection(socket_path(short_path))
            sent = 0
            try:
                while sent < 3 * LARGEST:
                    writer.write(b"[" * 2**20)
                    await writer.drain()
                    sent += 2**20
            except OSError:
                pass
            assert LARGEST <= sent + 2**20 < 3 * LARGEST
            writer.close()
            reader, writer = await asyncio.open_unix_connection(socket_path(short_path))
            writer.write(json.dumps({"argv": ["squeue", "-h"]}).encode())
            writer.write_eof()
            assert json.loads(await reader.read())["stdout"] == "squeue -h"
            writer.close()
    finally:
        door.close()
