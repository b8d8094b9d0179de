"""An upstream for gateways in processes of their own: plain sockets and threads, it sends exactly what it is told.

It frames nothing and repairs nothing, so it can lie the way real servers do. What it plays is chosen by the model
name that is asked for, so tests that share it do not meet.
"""

import json
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

PATIENCE = 15.0
"""Seconds after which what should have happened will not happen any more."""


@dataclass(frozen=True)
class Request:
    """One request as it arrived; header names in lower case."""

    method: str
    path: str
    fields: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        return next((value for field_name, value in self.fields if field_name == name), None)

    @property
    def model(self) -> str:
        try:
            return str(json.loads(self.body)["model"])
        except (ValueError, KeyError, TypeError):
            return self.path


class Line:
    """The server's end of one connection."""

    def __init__(self, line: socket.socket) -> None:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.settimeout(PATIENCE)
        self._line = line
        self._left = b""
        self.open = True
        self.sent = 0

    def request(self) -> Request | None:
        """The next request, whole; None if the client has closed."""
        while b"\r\n\r\n" not in self._left:
            if not self._more():
                return None
        head, _, self._left = self._left.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        fields = [(name.lower(), value.strip()) for name, _, value in (text.partition(":") for text in rest)]
        length = int(next((value for name, value in fields if name == "content-length"), "0"))
        while len(self._left) < length:
            if not self._more():
                return None
        body, self._left = self._left[:length], self._left[length:]
        method, path, _ = first.split(" ")
        return Request(method, path, fields, body)

    def _more(self) -> bool:
        try:
            data = self._line.recv(1 << 16)
        except TimeoutError:  # nobody asks on this connection any more
            data = b""
        self._left += data
        return bool(data)

    def send(self, *pieces: bytes) -> None:
        """Raises ConnectionError if the client is gone."""
        for piece in pieces:
            self._line.sendall(piece)
            self.sent += len(piece)

    def wait_until_left(self) -> float:
        """Seconds until the client closed or cut the line. Raises `TimeoutError` if it does not."""
        begun = monotonic()
        with suppress(ConnectionError):
            while self._line.recv(1 << 16):
                pass
        self.open = False
        return monotonic() - begun

    def close(self) -> None:
        self.open = False
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._line.close()

    def reset(self) -> None:
        """Cuts the line, so that the client sees an error and not an end."""
        self._line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.open = False
        self._line.close()


Script = Callable[[Request, Line], None]
"""Answers one request; the connection then waits for the next one unless the script closed it."""


@dataclass
class Upstream:
    """Listens as soon as it is made, until `stop`."""

    scripts: dict[str, Script] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._lines: list[Line] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def plays(self, model: str, script: Script) -> str:
        """From now on calls for this model get that script; returns the model's name."""
        self.scripts[model] = script
        return model

    def asked(self, model: str) -> list[Request]:
        return [request for request in self.requests if request.model == model]

    def stop(self) -> None:
        """Closes everything; fails if a script did."""
        self._listener.close()
        for line in self._lines:
            line.close()
        if self.failures:
            raise ExceptionGroup("scripts of the upstream failed", [RuntimeError(repr(e)) for e in self.failures])

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # stopped
                return
            line = Line(connection)
            self._lines.append(line)
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: Line) -> None:
        try:
            while line.open and (request := line.request()):
                self.requests.append(request)
                self.scripts.get(request.model, _unknown)(request, line)
        except OSError:
            pass  # the client left, which is what many scripts are there for
        except Exception as error:  # noqa: BLE001 - kept for `stop`, which fails with it
            self.failures.append(error)
        finally:
            line.close()


def _unknown(request: Request, line: Line) -> None:
    """What a provider answers that lists no models and knows none."""
    body = json.dumps({"error": {"message": f"nothing is played for {request.model}"}}).encode()
    line.send(whole(body, "404 Not Found"))


# answers


def whole(body: bytes | dict[str, Any], status: str = "200 OK", fields: str = "") -> bytes:
    """An honest whole answer; `fields` are further header lines, each with its line break."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{fields}content-length: {len(raw)}\r\n\r\n"
    return head.encode() + raw


EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def event(text: str | None = None, *, finish: str | None = None, **more: Any) -> bytes:
    """One event of a chat stream; without text and end one that has no choices."""
    choices = [] if text is None and finish is None else [_choice(text, finish)]
    said = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **more}
    return b"data: " + json.dumps(said).encode() + b"\n\n"


def _choice(text: str | None, finish: str | None) -> dict[str, Any]:
    return {
        "index": 0,
        "delta": {} if text is None else {"role": "assistant", "content": text},
        "finish_reason": finish,
    }


def completion(text: str = "four pennies", usage: dict[str, Any] | None = None, **message: Any) -> dict[str, Any]:
    """A whole chat answer."""
    said: dict[str, Any] = {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}
        ],
        "usage": USAGE if usage is None else usage,
    }
    return said


USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
COST = "0.003000000"
"""What `USAGE` costs at the price of every scripted model: 2 USD per million in, 10 out."""


def answers(*replies: bytes) -> Script:
    """To the first request the first reply, and so on; the last one to all others."""
    waiting = list(replies)

    def script(_: Request, line: Line) -> None:
        line.send(waiting.pop(0) if len(waiting) > 1 else waiting[0])

    return script


def streams(*events: bytes) -> Script:
    """A stream of these events, each in a chunk of its own, properly ended."""

    def script(_: Request, line: Line) -> None:
        line.send(EVENTS, *map(chunk, events), END)

    return script


def hello(words: Sequence[str] = ("four ", "pennies"), usage: dict[str, Any] | None = None) -> Script:
    """A stream of these words that ends well, with its usage at the end."""
    texts = [event(word) for word in words]
    last = event(usage=USAGE if usage is None else usage)
    return streams(*texts, event(finish="stop"), last, DONE)


def open_ended(_: Request, line: Line) -> None:
    """A stream that begins and does not end before the gateway leaves."""
    line.send(EVENTS, chunk(event("four")))
    line.wait_until_left()
