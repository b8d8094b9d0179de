"""Who comes in: every path is closed unless it is named here, so that a new route is protected before it is written.

A web page in a browser must not be able to use this API: nothing but a bearer token lets anybody in, no CORS header is
ever sent, and a request that another page caused is refused, token or not.
"""

import hmac

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.control.refusals import problem
from gateway.core.errors import Fault, Kind
from gateway.core.keys import PREFIX, digest
from gateway.core.local import FORWARDED, host_of, is_loopback_address

OPEN = frozenset({"/healthz", "/readyz"})
"""For everybody; they say only ok or not, and their details to `trusted` requests only."""
OPEN_HERE = frozenset({"/admin/docs", "/admin/openapi.json"})
"""Without a token from this machine only; they tell of the software, nothing of this installation."""
METRICS = "/metrics"

MAX_BODY = 256 * 1024

_CHALLENGE = {"www-authenticate": 'Bearer realm="tollkeeper admin"'}
_SAFE_HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
}


class Gate:
    """ASGI middleware around the whole control plane."""

    def __init__(self, app: ASGIApp, admin_digest: str, metrics_open: bool) -> None:
        self._app = app
        self._admin_digest = admin_digest
        self._metrics_open = metrics_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        send = _with_safe_headers(send)
        known = self._knows_token(headers)
        here = from_this_machine(scope, headers)
        trusted = known or here or self._metrics_open
        scope.setdefault("state", {})["trusted"] = trusted
        refusal = self._refusal(Request(scope), known=known, here=here, trusted=trusted)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self._app(scope, _bounded(receive), send)

    def _refusal(self, request: Request, *, known: bool, here: bool, trusted: bool) -> Response | None:
        path = request.scope["path"]
        if path in OPEN:
            return None
        if _foreign(request.headers):
            message = "another web page may not use this API"
            return problem(Fault(Kind.FORBIDDEN, message, hint="call it from a program, without `Origin`"), request)
        if known or (here and path in OPEN_HERE) or (trusted and path == METRICS):
            return None
        return problem(_why_not(request.headers), request, headers=_CHALLENGE)

    def _knows_token(self, headers: Headers) -> bool:
        presented = _bearer(headers)
        return presented is not None and hmac.compare_digest(digest(presented), self._admin_digest)


def from_this_machine(scope: Scope, headers: Headers) -> bool:
    """Whether peer and `Host` are loopback and no proxy passed the request on.

    `Host` counts because a page of another site can be made to resolve to loopback.
    """
    client = scope.get("client")
    if client is None or not is_loopback_address(client[0]) or any(name in headers for name in FORWARDED):
        return False
    hosts = headers.getlist("host")
    return len(hosts) == 1 and _is_loopback_name(hosts[0])


def _is_loopback_name(host: str) -> bool:
    name = host_of(host)
    return name == "localhost" or is_loopback_address(name)


def _foreign(headers: Headers) -> bool:
    origin = headers.get("origin")
    if origin is None:
        return (
            headers.get("sec-fetch-site") in ("cross-site", "same-site") and headers.get("sec-fetch-mode") != "navigate"
        )
    _, separator, authority = origin.partition("://")
    return not separator or authority.lower() != headers.get("host", "").lower()


def _bearer(headers: Headers) -> str | None:
    fields = headers.getlist("authorization")
    scheme, _, token = fields[0].partition(" ") if len(fields) == 1 else ("", "", "")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _why_not(headers: Headers) -> Fault:
    presented = _bearer(headers)
    where = (
        "send `Authorization: Bearer` with the admin token; the start message of `tollkeeper serve` says where it is"
    )
    if presented is None:
        return Fault(Kind.BAD_KEY, "the admin token is missing", hint=where)
    if presented.startswith(PREFIX):
        return Fault(Kind.BAD_KEY, "a key for calls is not an admin token", hint=where)
    return Fault(Kind.BAD_KEY, "this is not the admin token", hint=where)


def _with_safe_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _SAFE_HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers


def _bounded(receive: Receive) -> Receive:
    """The request's body, up to a size that no body of this API needs."""
    received = 0

    async def receive_bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY:
            raise HTTPException(413, f"a body of more than {MAX_BODY // 1024} KiB is not read here")
        return message

    return receive_bounded
