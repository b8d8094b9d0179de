"""The server of both planes: who is let in, and how it stops. Knows ASGI; must not know what it serves."""

import asyncio
import contextlib
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from gateway.core.errors import Fault, Kind
from gateway.net.outbox import Outbox
from gateway.server.connection import Connection
from gateway.server.exchange import Application, Service
from gateway.server.limits import Limits
from gateway.server.listener import BACKLOG
from gateway.server.watch import Watch

_POLL_SECONDS = 0.02


class Server:
    """One listener and one application, until it is told to stop.

    `on_signals`: SIGINT and SIGTERM stop it, the second SIGINT at once. Raises `Fault` on a certificate that cannot
    be used.
    """

    def __init__(
        self,
        application: Application,
        cert: Path | None = None,
        key: Path | None = None,
        *,
        on_signals: bool = True,
        limits: Limits | None = None,
        watch: Watch[Connection] | None = None,
    ) -> None:
        self._application = application
        self._tls = None if cert is None else _context(cert, key)
        self._on_signals = on_signals
        self._limits = limits or Limits()
        self._watch: Watch[Connection] = watch or Watch()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told = asyncio.Event()
        self._stopping = self._hurried = False

    @property
    def connections(self) -> set[Connection]:
        """Those that are there at this moment."""
        return self._watch.watched

    def stop(self, *, at_once: bool = False) -> None:
        """Take nobody new, let calls in flight end; `at_once` cancels them. From any thread, and before it runs too."""
        self._stopping = True
        self._hurried = self._hurried or at_once
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._told.set)

    async def run_on(self, listener: socket.socket, started: Callable[[], None] = lambda: None) -> None:
        """Serve until told to stop, and until every call has been dealt with.

        `started` is called as soon as calls are taken, and a signal would end them well.
        """
        loop = self._loop = asyncio.get_running_loop()
        service = Service(self._application, self._limits, loop, self._watch, Outbox(loop.call_soon))
        door = await loop.create_server(
            lambda: Connection(service),
            sock=listener,
            backlog=BACKLOG,
            ssl=self._tls,
            ssl_handshake_timeout=None if self._tls is None else self._limits.handshake,
        )
        try:
            with self._signals():
                started()
                if not self._stopping:
                    await self._told.wait()
                door.close()
                await self._wind_up(service)
        finally:
            self._loop = None

    async def _wind_up(self, service: Service) -> None:
        service.stopping = True
        connections = service.watch.watched
        for connection in list(connections):
            connection.stop()
        loop = service.loop
        deadline = loop.time() + service.limits.grace
        while (connections or service.running) and not self._hurried and loop.time() < deadline:  # noqa: ASYNC110 - once
            await asyncio.sleep(_POLL_SECONDS)
        # Calls cut short at the end of the grace period still settle: each of them leaves a row.
        left = [exchange.task for exchange in service.running if exchange.task is not None]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for connection in list(connections):
            connection.line.abort()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """The handlers that were there before come back before the journal is closed."""
        kinds = (signal.SIGINT, signal.SIGTERM) if self._on_signals else ()
        before = {kind: signal.signal(kind, self._signalled) for kind in kinds}
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)

    def _signalled(self, kind: int, _: FrameType | None) -> None:
        self.stop(at_once=self._stopping and kind == signal.SIGINT)


def _context(cert: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key, password="")  # else one that is locked would ask at the terminal
    except (OSError, ssl.SSLError) as error:
        raise Fault(Kind.INVALID, f"server.tls: the certificate cannot be used: {error}") from None
    return context
