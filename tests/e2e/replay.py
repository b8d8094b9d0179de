"""The recordings of real servers: their bytes, how they were cut, and what a client must get of them.

Reads them with means of its own, so that it cannot share a mistake with the gateway's parsers.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from time import sleep
from typing import Any

from tests.e2e.upstream import Line, Request, Script

FOLDER = Path(__file__).parents[1] / "recordings"
PAUSE = 0.0005
"""Seconds between two pieces, so that they arrive apart."""


@dataclass(frozen=True)
class Recording:
    """One request and every byte that came back."""

    name: str
    """`vllm/chat-stream`."""
    request: Any
    raw: bytes
    pieces: list[int]

    @property
    def path(self) -> str:
        """Below `/v1`, whatever the server called it."""
        path: str = self.request["path"].partition("?")[0]
        known = ("chat/completions", "completions", "embeddings", "models")
        return next((one for one in known if path.endswith(one)), known[0])

    @property
    def body(self) -> dict[str, Any]:
        """What to ask so that this is the answer; a good question where the recorded one was none."""
        body = self.request.get("body")
        asked = dict(body) if isinstance(body, dict) else {}
        question = "input" if self.path == "embeddings" else "prompt" if self.path == "completions" else "messages"
        return {question: [{"role": "user", "content": "?"}], **asked}

    @property
    def asks_for_usage(self) -> bool:
        return bool((self.body.get("stream_options") or {}).get("include_usage"))

    @cached_property
    def head(self) -> list[str]:
        return self.raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")

    @property
    def status(self) -> int:
        return int(self.head[0].split(" ")[1])

    def field(self, name: str) -> str | None:
        return next((value.strip() for line in self.head for key, _, value in [line.partition(":")]
                     if key.lower() == name), None)  # fmt: skip

    @property
    def is_stream(self) -> bool:
        return (self.field("content-type") or "").startswith("text/event-stream")

    @cached_property
    def content(self) -> bytes:
        """The body without its transfer coding, as far as it came."""
        body = self.raw.partition(b"\r\n\r\n")[2]
        return _unchunked(body) if self.field("transfer-encoding") == "chunked" else body

    @property
    def broken(self) -> bool:
        """The chunked coding was never ended."""
        return self.field("transfer-encoding") == "chunked" and not self.raw.endswith(b"0\r\n\r\n")

    @property
    def ends_by_closing(self) -> bool:
        """The closed line is the end of this answer, or of this server's patience."""
        framed = self.field("transfer-encoding") or self.field("content-length")
        return self.broken or not framed or "1.0" in self.head[0] or self.field("connection") == "close"

    @cached_property
    def events(self) -> list[bytes]:
        """The events of a stream, each with the blank line that ends it; comments among them."""
        return [part + b"\n\n" for part in self.content.split(b"\n\n") if part.strip()]

    @cached_property
    def data(self) -> list[dict[str, Any]]:
        """What the events say, without `[DONE]` and comments."""
        lines = [event[6:].strip() for event in self.events if event.startswith(b"data: ")]
        return [json.loads(line) for line in lines if line != b"[DONE]"]

    def expected(self, asked_for_usage: bool) -> bytes:
        """What the client must get: every byte, but for the usage events that it did not ask for."""
        if not self.is_stream or asked_for_usage:
            return self.content
        return b"".join(event for event in self.events if not _is_usage_event(event))

    def plays(self, cuts: str) -> Script:
        """Sends it cut as recorded (`recorded`), at random (`random`), or byte by byte at its ends (`crumbs`)."""
        parts = list(self._cut(cuts))

        def script(_: Request, line: Line) -> None:
            for part in parts:
                line.send(part)
                sleep(PAUSE)
            if self.ends_by_closing:
                line.close()

        return script

    def _cut(self, cuts: str) -> Iterator[bytes]:
        sizes = iter(self.pieces) if cuts == "recorded" else _sizes(Random(f"{self.name} {cuts}"), cuts)
        at = 0
        while at < len(self.raw):
            size = next(sizes)
            yield self.raw[at : at + size]
            at += size


def _sizes(chance: Random, cuts: str) -> Iterator[int]:
    """Piece after piece without end: 300 single bytes first, or any size at all."""
    if cuts == "crumbs":
        yield from [1] * 300
    while True:
        yield chance.choice((1, 2, 17, 150, 1000, 6000))


def _unchunked(body: bytes) -> bytes:
    plain = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        count = int(size, 16)
        if not count:
            break
        plain, body = plain + body[:count], body[count + 2 :]
    return plain


def _is_usage_event(event: bytes) -> bool:
    if not event.startswith(b"data: {"):
        return False
    said = json.loads(event[6:])
    return said.get("choices") == [] and isinstance(said.get("usage"), dict)


def recordings() -> list[Recording]:
    """All of them, sorted by name."""
    found = []
    for engine in sorted(path for path in FOLDER.iterdir() if path.is_dir()):
        pieces = json.loads((engine / "pieces.json").read_text(encoding="utf-8"))
        for name, sizes in sorted(pieces.items()):
            request = json.loads((engine / f"{name}.request.json").read_text(encoding="utf-8"))
            raw = (engine / f"{name}.response.http").read_bytes()
            found.append(Recording(f"{engine.name}/{name}", request, raw, sizes))
    return found
