"""The one door to the providers: addresses, pooled connections, time limits.

Implements `ports.Upstream`. The one border where what goes wrong on a line becomes an `UpstreamFault`.
Outbound addresses come from the configuration alone (known fault 80); redirects are answers, never followed.
"""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass

from gateway.core.errors import UpstreamFault
from gateway.core.routing import Retries
from gateway.net.outbox import Outbox
from gateway.ports import Headers, UpstreamAnswer, UpstreamRequest
from gateway.providers.deadlines import Deadlines
from gateway.providers.http1 import Connection, Exchange
from gateway.providers.origin import Authorise, Origin
from gateway.providers.pool import Pool
from gateway.providers.proxies import ProxyChoice

KEEP_PLAIN = 4.0
"""Seconds an idle plain connection is kept: less than the 5 s after which common local servers close theirs."""
KEEP_TLS = 55.0
"""Seconds an idle TLS connection is kept, and the most for any, whatever its server states."""
REST = 0.05
"""Seconds before a plain connection that carried a stream is used again: llama.cpp says that it keeps the line, and
closes it after each stream; a call sent into that end would be lost, and nobody could say whether it was billed."""
MAX_FETCHED = 8 * 1024 * 1024
"""Bytes of an answer to a question of our own."""
PROXY_REFUSES = 407


@dataclass(frozen=True, slots=True)
class Address:
    """Where a provider is and how it is asked."""

    base_url: str
    """With its version path, `https://api.openai.com/v1`, no slash at the end."""
    authorise: Authorise


class HttpTransport:
    """Asks providers over HTTP/1.1, on pooled connections."""

    def __init__(
        self, addresses: Mapping[str, Address], *, proxies: ProxyChoice, tls: ssl.SSLContext | None = None
    ) -> None:
        """Raises `Fault` (invalid) for an address or a proxy that cannot be used."""
        self._origins = {name: Origin.of(to.base_url, to.authorise, proxies) for name, to in addresses.items()}
        self._pool = Pool()
        self._outbox = Outbox()
        self._deadlines = Deadlines()
        self._tls = tls
        self._stopped = False

    async def ask(self, request: UpstreamRequest, retries: Retries) -> UpstreamAnswer:
        """Send, and return when the head of the answer has come.

        Raises `UpstreamFault`, and `Fault` (invalid) for a header field that cannot be sent.
        """
        origin = self._origins[request.target.provider.name]
        head = origin.post(request)
        connect_ms = None
        connection = self._pool.take(origin.key)
        if connection is None:
            connection, connect_ms = await self._connect(origin, retries.connect_timeout)
        exchange = connection.send(head, *request.body)
        answer = HttpAnswer(self._pool, self._deadlines, origin, connection, exchange, connect_ms)
        answer.watch(retries, request.stream)
        try:
            await exchange.head()
            answer.begins()
        except BaseException:  # also when the caller is cancelled: nobody reads this answer any more
            answer.close()
            raise
        return answer

    async def fetch(self, provider: str, path: str, timeout: float) -> tuple[int, bytes]:
        """A GET below a provider's base URL: status and body, at most 8 MiB. Raises `UpstreamFault`."""
        status, _, body = await self.get(provider, path, timeout)
        return status, body

    async def get(self, provider: str, path: str, timeout: float) -> tuple[int, Headers, bytes]:
        """As `fetch`, with the answer's header fields."""
        origin = self._origins[provider]
        head = origin.get(path)
        begun = time.monotonic()
        connection = self._pool.take(origin.key) or (await self._connect(origin, timeout))[0]
        exchange = connection.send(head)
        answer = HttpAnswer(self._pool, self._deadlines, origin, connection, exchange, None)
        left = begun + timeout - time.monotonic()
        answer.watch(Retries(timeout=left, idle_timeout=timeout), stream=False)
        try:
            await exchange.head()
            answer.begins()
            body = bytearray()
            while part := await answer.read():
                body += part
                if len(body) > MAX_FETCHED:
                    raise UpstreamFault(f"{provider} answered {path} with more than 8 MiB", uncertain=False)
            return answer.status, answer.headers, bytes(body)
        finally:
            answer.close()

    async def stop(self) -> None:
        """Closes every connection; what was being read breaks off, what asks from now on is refused."""
        self._stopped = True
        self._pool.close()

    async def _connect(self, origin: Origin, timeout: float) -> tuple[Connection, float]:
        """A new connection and the milliseconds that it took."""
        begun = time.monotonic()
        try:
            async with asyncio.timeout(timeout):
                connection = await origin.connect(self._context(origin), self._new)
        except TimeoutError:
            raise UpstreamFault(
                f"no connection to {origin.shown} within {timeout:g} s", uncertain=False, timeout=True
            ) from None
        except (OSError, ValueError) as error:
            raise UpstreamFault(f"no connection to {origin.shown}: {_reason(error)}", uncertain=False) from error
        if self._stopped:
            connection.abort()
            raise UpstreamFault("the gateway is going down", uncertain=False)
        self._pool.opened(connection)
        return connection, (time.monotonic() - begun) * 1000

    def _new(self) -> Connection:
        return Connection(self._pool.lost, self._outbox)

    def _context(self, origin: Origin) -> ssl.SSLContext | None:
        if not origin.needs_tls:
            return None
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls


class HttpAnswer:
    """`ports.UpstreamAnswer` over one exchange, with its time limits."""

    __slots__ = (
        "_closed",
        "_connection",
        "_deadline",
        "_deadlines",
        "_exchange",
        "_first_byte",
        "_idle",
        "_origin",
        "_pool",
        "_started",
        "connect_ms",
        "headers",
        "status",
    )

    def __init__(
        self,
        pool: Pool,
        deadlines: Deadlines,
        origin: Origin,
        connection: Connection,
        exchange: Exchange,
        connect_ms: float | None,
    ) -> None:
        self._pool, self._deadlines, self._origin = pool, deadlines, origin
        self._connection, self._exchange = connection, exchange
        self._closed = False
        self._started = self._deadline = self._idle = 0.0
        self._first_byte: float | None = None
        self.connect_ms = connect_ms
        self.status = 0
        self.headers: Headers = []

    def watch(self, retries: Retries, stream: bool) -> None:
        """Starts the clock: total, first byte (streams only) and idle limits."""
        self._started = self._exchange.last_byte
        self._deadline = self._started + retries.timeout
        self._idle = retries.idle_timeout
        self._first_byte = retries.first_byte_timeout if stream else None
        nearest = min(retries.timeout, retries.idle_timeout, self._first_byte or retries.timeout)
        self._deadlines.watch(self, self._started + nearest)

    def begins(self) -> None:
        """Its head has come. Raises `UpstreamFault` if it is none of the provider's."""
        self.status, self.headers = self._exchange.status, self._exchange.headers
        if self.status == PROXY_REFUSES and self._origin.proxy_reads:
            raise UpstreamFault(f"no way to {self._origin.shown}: it refuses our credentials", uncertain=False)

    def read(self) -> Awaitable[bytes]:
        return self._exchange.read()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._deadlines.forget(self)
        if self._exchange.complete and self._connection.exchange is self._exchange:
            self._connection.finished()
            back = (self._origin.key, self._connection, self._keep())
            if self._first_byte is None or self._origin.tls:  # a whole answer, or no server of one's own
                self._pool.give_back(*back)
            else:
                asyncio.get_running_loop().call_later(REST, self._pool.give_back, *back)
        else:
            self._connection.abort()

    def _keep(self) -> float:
        """Seconds that the connection may be idle: a little less than its server says that it will be there."""
        stated = self._connection.server_keeps
        if stated is not None:
            return min(stated - 1, KEEP_TLS)
        return KEEP_TLS if self._origin.tls else KEEP_PLAIN

    def look(self, now: float) -> float | None:
        """Ends the exchange if some limit is passed; else when the next one could be."""
        exchange = self._exchange
        if exchange.complete or exchange.fault is not None:
            return None
        limits = [(self._deadline, "no whole answer within the total timeout")]
        if exchange.head_done:
            heard = now if self._connection.held_back else exchange.last_byte  # a silence that we asked for is none
            limits.append((heard + self._idle, f"nothing came for {self._idle:g} s"))
        elif self._first_byte is not None:
            limits.append((self._started + self._first_byte, f"no first byte within {self._first_byte:g} s"))
        when, why = min(limits)
        if now < when:
            return min(when, now + self._idle)
        exchange.fail(UpstreamFault(f"{self._origin.shown}: {why}", uncertain=True, timeout=True))
        self._connection.abort()
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return f"TLS failed: {error.reason.replace('_', ' ').lower()}"
    strerror = error.strerror if isinstance(error, OSError) else None
    return strerror or str(error) or type(error).__name__
