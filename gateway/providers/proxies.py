"""Outbound proxies from the usual environment variables (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`).

Loopback is never asked through a proxy. Opens the connection; knows nothing of what is sent on it.
"""

import asyncio
import base64
import ipaddress
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from gateway.core.errors import Fault, Kind

ProxyChoice = Callable[[str, str, int], str | None]
"""(scheme, host, port) → the proxy's address, or None to ask directly."""

MAX_GREETING = 64 * 1024
"""Bytes of a proxy's answer to CONNECT."""

_P = TypeVar("_P", bound=asyncio.Protocol)


def from_environment(scheme: str, host: str, port: int) -> str | None:
    """The proxy that the environment names for this origin."""
    if _is_here(host):
        return None
    named = getproxies()
    address = named.get(scheme) or named.get("all")
    if not address or proxy_bypass(f"{host}:{port}") or _in_a_network(host, named.get("no", "")):
        return None
    return address if "//" in address else f"http://{address}"


def no_proxy(scheme: str, host: str, port: int) -> str | None:
    """Asks everything directly."""
    return None


def _is_here(host: str) -> bool:
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and (address.is_loopback or address.is_unspecified)


def _in_a_network(host: str, exempt: str) -> bool:
    """`NO_PROXY=10.0.0.0/8`, which the standard library does not know."""
    address = _address(host)
    if address is None:
        return False
    for entry in exempt.split(","):
        if "/" in entry:
            try:
                if address in ipaddress.ip_network(entry.strip(), strict=False):
                    return True
            except ValueError:
                continue  # no network, so no address is in it
    return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where a proxy is and what it wants to see."""

    host: str
    port: int
    tls: bool
    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Header fields that it asks for: `proxy-authorization`, if its address holds a user."""

    @classmethod
    def parse(cls, address: str) -> "Proxy":
        """Raises `Fault` (invalid); its text never repeats the address, which may hold a password."""
        try:
            parts = urlsplit(address)
            port = parts.port
        except ValueError:
            raise _unusable("has an address that cannot be read") from None
        if parts.scheme not in ("http", "https"):
            raise _unusable(f"speaks {parts.scheme}, which is not in this version")
        if not parts.hostname:
            raise _unusable("has no host")
        tls = parts.scheme == "https"
        fields: tuple[tuple[str, str], ...] = ()
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            fields = (("proxy-authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"),)
        return cls(parts.hostname, port or (443 if tls else 80), tls, fields)

    @property
    def shown(self) -> str:
        return f"{self.host}:{self.port}"


def _unusable(why: str) -> Fault:
    return Fault(
        Kind.INVALID,
        f"the proxy that the environment names {why}",
        hint="give it as http://proxy.example.com:3128, or name the hosts to ask without it in NO_PROXY",
    )


async def open_direct(host: str, port: int, tls: ssl.SSLContext | None, protocol: Callable[[], _P]) -> _P:
    """A connection to an origin itself. Raises OSError."""
    name = host if tls is not None else None
    _, made = await asyncio.get_running_loop().create_connection(protocol, host, port, ssl=tls, server_hostname=name)
    return made


async def open_tunnel(
    proxy: Proxy, near: ssl.SSLContext | None, host: str, port: int, far: ssl.SSLContext, protocol: Callable[[], _P]
) -> _P:
    """TLS (`far`) with an origin through a proxy's CONNECT; `near` is for the line to the proxy. Raises OSError."""
    loop = asyncio.get_running_loop()
    greeter = await open_direct(proxy.host, proxy.port, near, _Greeter)
    transport = greeter.transport
    try:
        if transport.is_closing():
            raise OSError("the proxy closed the connection")
        transport.write(_connect(proxy, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"))
        status = await greeter.status
        if not 200 <= status < 300:
            raise OSError(f"the proxy answered {status} to CONNECT")
        made = protocol()
        transport.set_protocol(made)
        secured = await loop.start_tls(transport, made, far, server_hostname=host)
        if secured is None:
            raise OSError("the tunnel closed during the TLS handshake")
    except BaseException:  # also cancelled by a timeout: the half-open tunnel must not stay
        transport.abort()
        raise
    made.connection_made(secured)
    return made


def _connect(proxy: Proxy, authority: str) -> bytes:
    fields = (("host", authority), *proxy.fields)
    lines = [f"CONNECT {authority} HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "\r\n"]
    return "\r\n".join(lines).encode("ascii")


class _Greeter(asyncio.Protocol):
    """Reads the proxy's answer to CONNECT and nothing beyond it."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's is an asyncio.Transport in all but name

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, beyond = self._read.partition(b"\r\n\r\n")
        if self.status.done():
            return
        if beyond:  # the origin speaks second in TLS, so this is not from it
            self.status.set_exception(OSError("the proxy sent more than an answer to CONNECT"))
        elif end:
            self._judge(head)
        elif len(self._read) > MAX_GREETING:
            self.status.set_exception(OSError("the proxy's answer has no end"))

    def _judge(self, head: bytes) -> None:
        words = head.split(b"\r\n", 1)[0].split()
        if len(words) > 1 and words[0].startswith(b"HTTP/1.") and words[1].isdigit():
            self.status.set_result(int(words[1]))
        else:
            self.status.set_exception(OSError("the proxy does not speak HTTP"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.status.done():
            self.status.set_exception(OSError("the proxy closed the connection"))
