"""One request and its answer, as the application sees them: ASGI's `receive` and `send`.

Owns what of the body waits for the application, and how the answer is framed. Bytes come from the connection and go to
it; this file knows no parser and no time limit.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.net.outbox import AT_ONCE, Outbox
from gateway.server.answer import BODILESS, CONTINUE, LAST_CHUNK, chunk, opening, whole
from gateway.server.gone import ClientLeft
from gateway.server.head import Scope
from gateway.server.limits import MAX_BODY_WAITING, MAX_DRAINED, Limits
from gateway.server.line import Line
from gateway.server.watch import Watch

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]

logger = logging.getLogger(__name__)

WHOLE = "http.response.whole"
"""An extension of ours to ASGI: `status`, `fields` (pairs of text, none of them about framing) and `body` in one
message, which takes a third of the time that head and body take one after the other."""


@dataclass(slots=True, eq=False)
class Service:
    """What the connections of one server share."""

    application: Application
    limits: Limits
    loop: asyncio.AbstractEventLoop
    watch: Watch[Any]
    outbox: Outbox
    running: "set[Exchange]" = field(default_factory=set)
    """Those whose application has not returned."""
    stopping: bool = False


class Connection(Protocol):
    """What a request needs of the connection that it came by."""

    service: Service
    line: Line

    def hungry(self) -> None:
        """The application waits for bytes of a body."""

    def answered(self, exchange: "Exchange") -> None:
        """Its answer is complete."""

    def cut(self, exchange: "Exchange") -> None:
        """Its answer will not be whole: the end of the line has to say so."""

    def failed(self, exchange: "Exchange") -> None:
        """Its application ended without an answer."""


class Exchange:
    """Made by the connection when a head is whole; run once, as a task of its own."""

    __slots__ = (
        "_chunked",
        "_connection",
        "_expects",
        "_given",
        "_head",
        "_length",
        "_line",
        "_news",
        "_owed",
        "_parts",
        "_scope",
        "_silent",
        "_taken",
        "answered",
        "chunked",
        "close",
        "complete",
        "hungry",
        "left",
        "received",
        "started",
        "task",
    )

    def __init__(self, connection: Connection, scope: Scope, fields: dict[bytes, bytes], keep: bool) -> None:
        """`fields`: those of the request, by name; `keep`: its client would send another one on this connection."""
        self._connection = connection
        self._line = connection.line
        self._scope = scope
        self._length = fields.get(b"content-length", b"0")
        self.chunked = b"transfer-encoding" in fields
        """The request's body comes in chunks, and nobody knows how long it is."""
        self._expects = b"expect" in fields and _waits(fields[b"expect"], scope["http_version"])
        """The client waits to hear that its body is wanted."""
        self._parts: list[bytes] = []
        self._given = False
        """The application has the end of the body."""
        self._news: asyncio.Event | None = None
        self._head = b""
        """An answer's head that leaves with the first bytes of its body."""
        self._owed: int | None = None
        """Bytes that the answer's stated length still asks for."""
        self._chunked = self._silent = False
        self.received = self._taken = 0
        """Bytes of the body that came, and those of them that the application has."""
        self.complete = False
        """The request is whole."""
        self.hungry = False
        """The application waits for bytes of the body."""
        self.started = self.answered = False
        """The answer has begun, and ended, as far as the application is concerned."""
        self.close = not keep
        """No other request follows on this connection."""
        self.task: asyncio.Task[None] | None = None
        self.left = False
        """Nothing of what is sent from now on reaches anybody."""

    # called by the connection

    async def run(self) -> None:
        """Have it answered by the application, and the line say so if that comes to nothing."""
        service, connection = self._connection.service, self._connection
        try:
            await service.application(self._scope, self.receive, self.send)
            if not self.started and not self.left:
                logger.error("the application did not answer %s %s", self._scope["method"], self._scope["path"])
        except asyncio.CancelledError:
            connection.cut(self)
            raise
        except Exception as error:
            if not (self.left and _for_want_of_a_client(error)):
                logger.exception("the application failed at %s %s", self._scope["method"], self._scope["path"])
        finally:
            service.running.discard(self)
            self.task = None
        if self.started:
            connection.cut(self)
        else:
            connection.failed(self)

    def feed(self, data: bytes) -> None:
        """A piece of the body."""
        self.received += len(data)
        if not self.answered:
            self._parts.append(data)
            if self.received - self._taken > MAX_BODY_WAITING:
                self._line.hold_back()
            if self._news is not None:
                self._news.set()

    def to_come(self) -> int:
        """Bytes of the body that are still to come, if it is not chunked."""
        return int(self._length) - self.received

    def end(self) -> None:
        """The request is whole."""
        self.complete = True
        if self._news is not None:
            self._news.set()

    def leave(self) -> None:
        """The line is gone, or nothing that is sent on it would be understood."""
        self.left = True
        if self._news is not None:
            self._news.set()

    # called by the application

    async def receive(self) -> Message:
        """The body as far as it has come; then nothing until the client leaves, or the answer is complete."""
        while not self.left and not self.answered:
            if self._parts or (self.complete and not self._given):
                return self._next_part()
            if self._expects and not self.complete and not self.started:
                self._expects = False
                self._line.write(CONTINUE)
            if self._news is None:
                self._news = asyncio.Event()
            self._news.clear()
            self.hungry = not self.complete
            if self.hungry:
                self._connection.hungry()
            await self._news.wait()
        return {"type": "http.disconnect"}

    def _next_part(self) -> Message:
        parts = self._parts
        if len(parts) > 1:
            body = _first_of(parts)
        else:
            body = parts[0] if parts else b""
            parts.clear()
        self.hungry = False
        self._expects = False
        self._taken += len(body)
        self._given = self.complete and not parts
        if self._line.paused and not parts:
            self._line.take_more()
        return {"type": "http.request", "body": body, "more_body": not self._given}

    async def send(self, message: Message) -> None:
        """Returns when more may be sent. Raises `ClientLeft` when nobody takes it any more."""
        if self._line.choked and not self.left:
            await self._line.room()
        if self.left:
            raise ClientLeft("the client has left")
        kind = message["type"]
        if kind == "http.response.body":
            body, more = message.get("body", b""), message.get("more_body", False)
            if self._chunked and more:
                if body:
                    self._line.write(chunk(body))
            else:
                self._send_body(body, more)
        elif kind == "http.response.start":
            self._begin(message)
        elif kind == WHOLE:
            self._answer(message["status"], message["fields"], message["body"])
        else:
            raise RuntimeError(f"{kind} is no message of an answer")

    def _answer(self, status: int, fields: list[tuple[str, str]], body: bytes) -> None:
        """An answer in one message: a head and a body that leave together."""
        if self.started:
            raise RuntimeError("the answer has begun already")
        if status in BODILESS or self._scope["method"] == "HEAD" or self._scope["http_version"] == "1.0":
            length = (b"content-length", b"%d" % len(body))
            encoded = [
                (name.encode("latin-1", "replace"), value.encode("latin-1", "replace")) for name, value in fields
            ]
            self._begin({"status": status, "headers": encoded if status in BODILESS else [*encoded, length]})
            self._send_body(body, more=False)
            return
        service = self._connection.service
        self.close = self._closes()
        head = whole(status, fields, service.watch.date, len(body), self.close)
        self.started = True
        if len(body) < AT_ONCE:
            self._line.write(head + body)
        else:
            self._line.write(head)
            self._line.write(body)
        self._is_answered()

    def _closes(self) -> bool:
        """Whether no other request follows on this connection."""
        return self.close or self._connection.service.stopping or (not self.complete and self._hopeless())

    def _begin(self, message: Message) -> None:
        if self.started:
            raise RuntimeError("the answer has begun already")
        connection = self._connection
        status, fields = message["status"], message.get("headers", ())
        self._silent = self._scope["method"] == "HEAD"
        self._head, self._owed, self._chunked, self.close = opening(
            status,
            fields if type(fields) is list else list(fields),
            connection.service.watch.date,
            self._silent,
            self._scope["http_version"] == "1.0",
            self._closes(),
        )
        self._silent = self._silent or status in BODILESS
        self.started = True
        if self._owed is None:  # its body may be long in coming
            self._line.write(self._head)
            self._head = b""

    def _hopeless(self) -> bool:
        """Whether what is left of the body cannot be thrown away: there is too much, or it may never come."""
        return self._expects or (not self.chunked and self.to_come() > MAX_DRAINED)

    def _send_body(self, body: bytes, more: bool) -> None:
        if not self.started or self.answered:
            raise RuntimeError("a body before the head of its answer, or after its end")
        body = self._framed(body, more)
        if self._head:
            if len(body) < AT_ONCE:
                body = self._head + body
            else:
                self._line.write(self._head)
            self._head = b""
        if body:
            self._line.write(body)
        if not more:
            self._is_answered()

    def _is_answered(self) -> None:
        self.answered = True
        self._chunked = False
        self._parts.clear()
        if self._news is not None:
            self._news.set()
        self._connection.answered(self)

    def _framed(self, body: bytes, more: bool) -> bytes:
        if self._silent:
            return b""
        if self._chunked:  # and this is the end, or `send` had seen to it
            return chunk(body) + LAST_CHUNK if body else LAST_CHUNK
        if self._owed is not None:
            self._owed -= len(body)
            if self._owed < 0 or (self._owed and not more):
                raise RuntimeError("the answer's body is not as long as its length says")
        return body


def _first_of(parts: list[bytes]) -> bytes:
    """Takes the small ones at the front as one, or a large one alone: joining those would double them for a while."""
    count = next((place for place, part in enumerate(parts) if len(part) >= AT_ONCE), len(parts)) or 1
    body = parts[0] if count == 1 else b"".join(parts[:count])
    del parts[:count]
    return body


def _waits(expect: bytes, version: str) -> bool:
    return version == "1.1" and expect.lower() == b"100-continue"


def _for_want_of_a_client(error: BaseException | None) -> bool:
    """Whether an error goes back to one of `ClientLeft`."""
    while error is not None and not isinstance(error, ClientLeft):
        error = error.__cause__ or error.__context__
    return error is not None
