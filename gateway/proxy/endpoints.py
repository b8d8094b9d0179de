"""The public paths under `/v1`; the only file of the data plane that knows the web framework (ASGI 3).

Bare ASGI on purpose: request and response objects of a framework cost more than the whole pipeline.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping, Sequence
from io import BytesIO
from typing import Any

import orjson

from gateway.core.calls import End
from gateway.core.errors import Fault, Kind, UpstreamFault, not_in_this_version
from gateway.ports import Clock, Headers
from gateway.proxy.authenticate import Authenticate
from gateway.proxy.call import Arrival
from gateway.proxy.headers import encode
from gateway.proxy.ids import new_id
from gateway.proxy.pipeline import CLIENT_LEFT, GOING_DOWN, Pipeline
from gateway.proxy.refusals import body_of, headers_of, refusal_of
from gateway.proxy.relay import Reply
from gateway.proxy.route import Route
from gateway.proxy.streams import LongAnswer, StreamRelay
from gateway.wire.openai import Endpoint

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

WATCH_AFTER = 0.05
"""Seconds after which a call is watched for its client's leaving; most whole answers are over by then."""

_WHOLE = "http.response.whole"
"""Our server's extension to ASGI, for answers that leave in one piece; other servers are told in two."""
_ENDPOINTS = {f"/v1/{endpoint}": endpoint for endpoint in Endpoint}
_LATER = re.compile(r"/v1/(responses|messages|files|batches)(/|$)")


class DataPlane:
    """ASGI application for everything under `/v1`."""

    def __init__(
        self,
        pipeline: Pipeline,
        authenticate: Authenticate,
        route: Route,
        clock: Clock,
        rejected: Callable[[str, str | None], None],
        allowed_origins: frozenset[str],
    ) -> None:
        self._pipeline = pipeline
        self._authenticate = authenticate
        self._route = route
        self._clock = clock
        self._rejected = rejected
        self._origins = allowed_origins
        self._watchers = _Watchers()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        fields: Headers = []
        headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name = raw_name.decode()  # a token, so it is ASCII
            value = raw_value.decode() if raw_value.isascii() else raw_value.decode("latin-1")
            fields.append((name, value))
            if name not in headers:
                headers[name] = value
        endpoint = _ENDPOINTS.get(scope["path"])
        if endpoint is not None and scope["method"] == "POST":
            at_once = _WHOLE in scope.get("extensions", ())
            return self._call(endpoint, scope.get("client"), _Client(receive, headers), send, fields, at_once)
        if scope["method"] == "OPTIONS" and headers.get("origin") in self._origins:
            return _send_whole(send, 204, self._cors(headers) + _PREFLIGHT)
        return self._rest(scope, send, headers)

    # calls

    async def _call(
        self,
        endpoint: Endpoint,
        address: tuple[str, int] | None,
        client: "_Client",
        send: Send,
        fields: Headers,
        at_once: bool,
    ) -> None:
        now_us = self._clock.now_us()
        begun = self._clock.monotonic()
        headers = client.headers
        peer = address[0] if address else None
        arrival = Arrival(new_id(now_us), now_us, begun, endpoint, headers, fields, peer, client.read)
        self._watchers.add(client)
        try:
            reply = await self._answer(arrival)
            cors = self._cors(headers) if "origin" in headers else _NO_FIELDS
            if reply.rest is None and at_once:
                whole = {"type": _WHOLE, "status": reply.status, "fields": reply.headers + cors, "body": reply.body}
                await send(whole)
            elif reply.rest is None:
                await _send_whole(send, reply.status, reply.headers + cors, reply.body)
            else:
                await self._send_rest(send, reply, reply.rest, cors, client)
        except asyncio.CancelledError:
            if not client.left:
                raise
        finally:
            self._watchers.end(client)

    async def _answer(self, arrival: Arrival) -> Reply:
        try:
            return await self._pipeline(arrival)
        except Fault as fault:  # nobody we know, or no room in the journal: counted, without a row
            self._rejected(fault.kind.value, arrival.peer)
            body = body_of(fault)
            fields: Headers = [("x-request-id", arrival.id), *headers_of(fault), *_JSON]
            return Reply(refusal_of(fault).status, fields, body)

    @staticmethod
    async def _send_rest(
        send: Send, reply: Reply, rest: StreamRelay | LongAnswer, cors: Headers, client: "_Client"
    ) -> None:
        try:
            await send({"type": "http.response.start", "status": reply.status, "headers": encode(reply.headers + cors)})
            while data := await rest.next():
                await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except asyncio.CancelledError:
            left = client.left
            rest.abandon(End.CUT_BY_CLIENT if left else End.INTERRUPTED, CLIENT_LEFT if left else GOING_DOWN)
            raise
        except OSError:  # the server could not write any more
            rest.abandon(End.CUT_BY_CLIENT, CLIENT_LEFT)
        except UpstreamFault:
            # A whole answer that broke after its head was sent cannot be mended. Returning without the last
            # message makes the server drop the line, so the client sees that it is not whole.
            return
        except Exception as error:
            rest.abandon(End.INTERRUPTED, f"internal: {type(error).__name__}")
            raise

    # everything else under /v1

    async def _rest(self, scope: Scope, send: Send, headers: dict[str, str]) -> None:
        path, method = scope["path"], scope["method"]
        client = scope.get("client")
        try:
            if path == "/v1/models" or path.startswith("/v1/models/"):
                self._only(method, "GET", "HEAD")
                caller = self._authenticate(headers, client[0] if client else None).caller
                names = [name for name in await self._route.names() if caller.may_use(name)]
                body = _models(names, path.removeprefix("/v1/models").removeprefix("/"))
                await _send_whole(send, 200, [*_JSON, *self._cors(headers)], body)
                return
            if path in _ENDPOINTS:
                self._only(method, "POST")
            if _LATER.match(path):
                raise not_in_this_version(f"calls to {path}")
            raise Fault(Kind.UNKNOWN_URL, f"there is no {method} {path} here", hint="see GET /v1/models and the README")
        except Fault as fault:
            if fault.kind is Kind.BAD_KEY:
                self._rejected(fault.kind.value, client[0] if client else None)
            body = body_of(fault)
            fields = [*headers_of(fault), *_JSON, *self._cors(headers)]
            if fault.kind is Kind.METHOD_NOT_ALLOWED:
                fields.append(("allow", "POST" if path in _ENDPOINTS else "GET, HEAD"))
            await _send_whole(send, refusal_of(fault).status, fields, body)

    @staticmethod
    def _only(method: str, *allowed: str) -> None:
        if method not in allowed:
            raise Fault(Kind.METHOD_NOT_ALLOWED, f"{method} is not possible here", hint=f"use {allowed[0]}")

    def _cors(self, headers: dict[str, str]) -> Headers:
        origin = headers.get("origin")
        if origin is None or origin not in self._origins:
            return []
        return [("access-control-allow-origin", origin), ("vary", "origin"), ("access-control-expose-headers", "*")]


_NO_FIELDS: Headers = []
_JSON: Headers = [("content-type", "application/json")]
_PREFLIGHT: Headers = [
    ("access-control-allow-methods", "GET, POST, OPTIONS"),
    ("access-control-allow-headers", "authorization, content-type, *"),
    ("access-control-max-age", "600"),
]


def _models(names: Sequence[str], wanted: str) -> bytes:
    """OpenAI's list of models, or one of them. Raises `Fault` (model unknown)."""
    if not wanted:
        return orjson.dumps({"object": "list", "data": [_model(name) for name in names]})
    if wanted not in names:
        raise Fault(Kind.MODEL_UNKNOWN, f"the model {wanted!r} is not known here", param="model")
    return orjson.dumps(_model(wanted))


def _model(name: str) -> dict[str, object]:
    owner, slash, _ = name.partition("/")
    return {"id": name, "object": "model", "created": 0, "owned_by": owner if slash else "tollkeeper"}


async def _send_whole(send: Send, status: int, fields: Headers, body: bytes = b"") -> None:
    if body:
        fields = [*fields, ("content-length", str(len(body)))]
    await send({"type": "http.response.start", "status": status, "headers": encode(fields)})
    await send({"type": "http.response.body", "body": body})


class _Client:
    """The client of one call: reads its body, never beyond the limit, and notices when it leaves."""

    __slots__ = ("_receive", "_task", "_watcher", "begun", "body_read", "headers", "left")

    def __init__(self, receive: Receive, headers: dict[str, str]) -> None:
        self._receive = receive
        self._task = asyncio.current_task()
        self._watcher: asyncio.Task[Message] | None = None
        self.headers = headers
        self.begun = time.monotonic()
        self.body_read = self.left = False

    async def read(self, limit: int) -> bytes:
        """The body. Raises `Fault` (too large), and cancellation if the client leaves meanwhile."""
        length = self.headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            raise _too_large(limit)
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            self.body_read = True
            body: bytes = message.get("body", b"")
            if len(body) > limit:
                raise _too_large(limit)
            return body
        return await self._read_parts(message, limit, int(length) if length.isdigit() else 0)

    async def _read_parts(self, message: Message, limit: int, length: int) -> bytes:
        """`length`: as stated, at most `limit`; 0 if it is not."""
        whole = _room(length)  # gives its bytes away without copying them
        while True:
            if message["type"] == "http.disconnect":
                self.body_read = self.left = True
                raise asyncio.CancelledError(CLIENT_LEFT)
            whole.write(message.pop("body", b""))  # not kept while the next one comes
            if whole.tell() > limit:
                raise _too_large(limit)
            if not message.get("more_body"):
                self.body_read = True
                whole.truncate()
                return whole.getvalue()
            message = await self._receive()

    def watch(self) -> bool:
        """Begin to listen for its leaving; not possible while the body is still being read, and that notices too."""
        if self._watcher is None and self.body_read:
            receiving = self._receive()
            self._watcher = asyncio.get_running_loop().create_task(receiving)  # type: ignore[arg-type]  # an Awaitable
            self._watcher.add_done_callback(self._has_left)
        return self._watcher is not None

    def _has_left(self, watcher: "asyncio.Task[Message]") -> None:
        if not watcher.cancelled() and watcher.exception() is None and self._task is not None:
            self.left = True
            self._task.cancel(CLIENT_LEFT)

    def stop(self) -> None:
        if self._watcher is not None:
            self._watcher.remove_done_callback(self._has_left)
            self._watcher.cancel()


def _room(size: int) -> BytesIO:
    """Has its bytes in one place from the start: one that grows is copied on the way, and leaves holes in the heap."""
    room = BytesIO()
    if size:
        room.seek(size - 1)
        room.write(b"\0")
        room.seek(0)
    return room


def _too_large(limit: int) -> Fault:
    return Fault(Kind.TOO_LARGE, f"the body has more than {limit} bytes", hint="raise server.max_body")


class _Watchers:
    """The clients that are not watched yet. One timer for all: most calls end before a watch would pay."""

    def __init__(self) -> None:
        self._young: dict[_Client, None] = {}
        self._ticking = False

    def add(self, client: _Client) -> None:
        self._young[client] = None
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(WATCH_AFTER, self._tick)

    def end(self, client: _Client) -> None:
        self._young.pop(client, None)
        client.stop()

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        old = time.monotonic() - WATCH_AFTER
        for client in [client for client in self._young if client.begun <= old]:
            if client.watch():
                del self._young[client]
        self._ticking = bool(self._young)
        if self._ticking:
            loop.call_later(WATCH_AFTER, self._tick)
