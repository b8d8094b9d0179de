"""The bytes of every answer, made once."""

import json
from dataclasses import dataclass

from benchmarks.shape import MODEL, STAMP, events, last_events, stamped_event, whole_answer
from benchmarks.upstream import Options

LAST_CHUNK = b"0\r\n\r\n"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
NO_LENGTH = b"HTTP/1.1 411 Length Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answers:
    """As the options want them."""

    head: bytes
    chat: bytes
    models: bytes
    stream: list[bytes]
    """A write for each event, as tokens come from a provider; the head with the first, the last chunk with the last."""
    stream_head: bytes

    @classmethod
    def of(cls, options: Options) -> "Answers":
        head = b"HTTP/1.1 200 OK\r\nx-request-id: req-1\r\n"
        if options.keep is not None:
            head += b"keep-alive: timeout=%d\r\n" % options.keep
        stream_head = head + b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        stream = [chunk(event) for event in events()]
        stream[0] = stream_head + stream[0]
        stream[-1] += LAST_CHUNK
        models = json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model"}]}).encode()
        return cls(head, whole(head, whole_answer()), whole(head, models), stream, stream_head)


def whole(head: bytes, body: bytes) -> bytes:
    return b"%scontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (head, len(body), body)


def chunk(event: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(event), event)


def stamped_halves() -> tuple[bytes, bytes]:
    """What is around the time in the chunk of a slow stream's event."""
    before, _, after = chunk(stamped_event()).partition(STAMP)
    return before, after


def ending(words: int) -> bytes:
    """The end of a slow stream."""
    return b"".join(map(chunk, last_events(words))) + LAST_CHUNK
