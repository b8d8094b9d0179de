"""`python -m benchmarks.spending.upstream FILE`: bills every call as soon as it is asked, whoever hears the answer.

Each call adds a line to the file, its amount in nano-dollars. How much a call uses follows from its body alone, and is
never more than it asked for: some answers are as long as they may be, most are shorter.
"""

import asyncio
import contextlib
import json
import os
import re
import sys
from typing import Any
from zlib import crc32

from benchmarks.spending import bill_nano

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_PIECES = 8
"""Events of a stream."""
_PAUSE = 0.004
"""Seconds between them, and before a whole answer."""


def usage_of(body: bytes, asked: dict[str, Any]) -> dict[str, int]:
    prompt = sum(len(message["content"].split()) for message in asked["messages"]) + 4
    limit = int(asked.get("max_tokens") or asked["max_completion_tokens"])
    draw = crc32(body)
    answer = limit if draw % 4 == 0 else 1 + draw % limit
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}


async def _serve(bill: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                if length is None:
                    writer.write(_whole({"object": "list", "data": []}))
                    continue
                body = await reader.readexactly(int(length[1]))
                asked = json.loads(body)
                usage = usage_of(body, asked)
                os.write(bill, b"%d\n" % bill_nano(usage["prompt_tokens"], usage["completion_tokens"]))
                await _answer(usage, bool(asked.get("stream")), writer)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def _answer(usage: dict[str, int], stream: bool, writer: asyncio.StreamWriter) -> None:
    if not stream:
        await asyncio.sleep(_PAUSE)
        message = {"role": "assistant", "content": "spent"}
        writer.write(_whole({"id": "x", "choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}))
        return
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    for piece in range(_PIECES):
        await asyncio.sleep(_PAUSE)
        finish = "stop" if piece == _PIECES - 1 else None
        _event(writer, {"choices": [{"index": 0, "delta": {"content": "spent "}, "finish_reason": finish}]})
        await writer.drain()
    _event(writer, {"choices": [], "usage": usage})
    _chunk(writer, b"data: [DONE]\n\n")
    writer.write(b"0\r\n\r\n")


def _event(writer: asyncio.StreamWriter, event: dict[str, Any]) -> None:
    _chunk(writer, b"data: " + json.dumps(event).encode() + b"\n\n")


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))


def _whole(answer: dict[str, Any]) -> bytes:
    body = json.dumps(answer).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)))
