"""One scheme, host and port: how it is reached, and what a request to it begins with.

The one place where a request head is written, so the one place that keeps line breaks out of it.
"""

import socket
import ssl
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gateway.core.errors import Fault, Kind
from gateway.core.keys import Secret
from gateway.core.routing import HOP_HEADER
from gateway.ports import Headers, UpstreamRequest
from gateway.providers.http1 import Connection
from gateway.providers.pool import Key
from gateway.providers.proxies import Proxy, ProxyChoice, open_direct, open_tunnel

Authorise = Callable[[Secret | None], list[tuple[str, str]]]
"""From the client's provider key, if any, to the header fields that authorise a request."""

MAX_HEADS = 256
"""Heads that are kept for one origin: a client sends the same one with every call, mostly."""
MAX_HEAD = 4096
"""Bytes of a head that is kept."""
_PROBES = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 30, "TCP_KEEPCNT": 5}
# Where a request ends is said here and by nobody else.
_OURS = frozenset(("host", "content-length", "transfer-encoding", "connection", "proxy-authorization", HOP_HEADER))
_CONTROLS = bytes(code for code in range(32) if code != ord("\t")) + b"\x7f"
_TOKEN = b"!#$%&'*+-.^_`|~" + (string.digits + string.ascii_letters).encode()


@dataclass(frozen=True, slots=True)
class Origin:
    """Everything about a provider's address that never changes."""

    key: Key
    host: str
    port: int
    tls: bool
    host_field: str
    path: str
    authorise: Authorise
    proxy: Proxy | None
    heads: dict[tuple[object, ...], bytes] = field(default_factory=dict, compare=False)
    """The heads of requests as clients repeat them, but for their length."""

    @classmethod
    def of(cls, base_url: str, authorise: Authorise, proxies: ProxyChoice) -> "Origin":
        """Raises `Fault` (invalid) for anything but an http(s) address, or a proxy that cannot be used."""
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Fault(Kind.INVALID, "the base URL is not an http(s) address")
        tls = parts.scheme == "https"
        port = parts.port or (443 if tls else 80)
        name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        host_field = name if parts.port is None else f"{name}:{port}"
        via = proxies(parts.scheme, parts.hostname, port)
        proxy = Proxy.parse(via) if via is not None else None
        key = (parts.hostname, port, tls)
        return cls(key, *key, host_field, parts.path.rstrip("/"), authorise, proxy)

    @property
    def shown(self) -> str:
        """For people: where we ask, without any secret."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{name}:{self.port}" + (f" through the proxy {self.proxy.shown}" if self.proxy else "")

    @property
    def proxy_reads(self) -> bool:
        """The proxy sees the request itself, not a tunnel, and may be the one who answers it."""
        return self.proxy is not None and not self.tls

    @property
    def needs_tls(self) -> bool:
        return self.tls or (self.proxy is not None and self.proxy.tls)

    def post(self, request: UpstreamRequest) -> bytes:
        """The head of a call. Raises `Fault` (invalid) if a field cannot be sent."""
        same = (request.path, *request.headers)
        head = self.heads.get(same) if request.client_key is None else None
        if head is None:
            fields = [field for field in request.headers if field[0] not in _OURS]
            head = self._head("POST", request.path, [*fields, *self.authorise(request.client_key)])
            if request.client_key is None and len(head) <= MAX_HEAD:  # nobody's key but the configured one is kept
                self._keep(same, head)
        return b"%bcontent-length: %d\r\n\r\n" % (head, sum(map(len, request.body)))

    def _keep(self, same: tuple[object, ...], head: bytes) -> None:
        if len(self.heads) >= MAX_HEADS:
            self.heads.clear()
        self.heads[same] = head

    def get(self, path: str) -> bytes:
        """The head of a question of our own. Raises `Fault` (invalid) if a field cannot be sent."""
        return self._head("GET", path, [("accept", "application/json"), *self.authorise(None)]) + b"\r\n"

    def _head(self, method: str, path: str, fields: Headers) -> bytes:
        """Without the empty line at its end."""
        target = f"{self.path}/{path}"
        if " " in target or not target.isascii():
            raise _unsendable()
        if self.proxy is not None and not self.tls:  # the proxy reads this itself
            target = f"http://{self.host_field}{target}"
            fields = [*fields, *self.proxy.fields]
        lines = "".join([f"{name}: {value}\r\n" for name, value in fields])
        text = f"{method} {target} HTTP/1.1\r\nhost: {self.host_field}\r\n{lines}{HOP_HEADER}: 1\r\n"
        try:
            head = text.encode("latin-1")
        except UnicodeEncodeError:
            raise _unsendable() from None
        # The only control characters are the two at the end of each line of ours: a field cannot become two.
        ours = 2 * (len(fields) + 3)
        if len(head) - len(head.translate(None, _CONTROLS)) != ours or not _are_names(fields):
            raise _unsendable()
        return head

    async def connect(self, tls: ssl.SSLContext | None, made: Callable[[], Connection]) -> Connection:
        """A new connection, ready for a request. Raises OSError, and ValueError for a host name that none can have."""
        if self.proxy is None:
            connection = await open_direct(self.host, self.port, tls, made)
        elif not self.tls:
            near = tls if self.proxy.tls else None
            connection = await open_direct(self.proxy.host, self.proxy.port, near, made)
        else:
            assert tls is not None
            near = tls if self.proxy.tls else None
            connection = await open_tunnel(self.proxy, near, self.host, self.port, tls, made)
        _keep_alive(connection)
        return connection


def _are_names(fields: Headers) -> bool:
    """Whether each field has a name, with nothing in it that would end it early (RFC 9110 §5.6.2)."""
    names = [name for name, _ in fields]
    return all(names) and not "".join(names).encode("latin-1").translate(None, _TOKEN)


def _unsendable() -> Fault:
    """Repeats nothing of the field: it may be a key."""
    return Fault(Kind.INVALID, "a header field has a line break, a control character or an impossible name")


def _keep_alive(connection: Connection) -> None:
    """A machine that vanished is noticed, and no router in between forgets the line, while a model thinks."""
    line = connection.transport.get_extra_info("socket") if connection.open and connection.transport else None
    if line is None:
        return
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, seconds in _PROBES.items():
        if hasattr(socket, option):  # not every system lets one choose
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)
