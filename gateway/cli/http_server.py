"""The HTTP server under both planes: which socket, which limits, how it stops.

Knows uvicorn; must not know what it serves.
"""

import asyncio
import contextlib
import errno
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn

from gateway.core.errors import Fault, Kind

BACKLOG = 2048
IDLE_SECONDS = 75
"""How long a connection may idle; longer than clients keep theirs, so that none sends into a closing one."""
GRACE_SECONDS = 30
"""How long calls in flight have to end when the server stops."""
LAST_WORDS_SECONDS = 0.5
"""How long an idle client may take to confirm the end of its line when the server stops."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises `Fault` if the address is taken or not ours."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError):
        raise Fault(Kind.INVALID, f"{host!r} is no address", hint="take another with --host") from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _cannot_listen(error, host, port) from None
    listener.setblocking(False)
    return listener


def _cannot_listen(error: OSError, host: str, port: int) -> Fault:
    if error.errno == errno.EADDRINUSE:
        message, hint = f"port {port} on {host} is taken by another program", "stop it, or take another with --port"
    elif error.errno == errno.EADDRNOTAVAIL:
        message, hint = f"{host} is no address of this machine", "take another with --host"
    elif error.errno == errno.EACCES:
        message, hint = f"port {port} needs more rights than this user has", "take one above 1023 with --port"
    else:
        message, hint = f"cannot listen on {host} port {port}: {error.strerror}", "take another address"
    return Fault(Kind.UNAVAILABLE, message, hint=hint)


def address_of(listener: socket.socket, *, tls: bool = False) -> str:
    """The listener's address as a URL without a path."""
    host, port = listener.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


class Server(uvicorn.Server):
    """One listener and one application, until it is told to stop.

    `on_signals`: SIGINT and SIGTERM stop it, the second SIGINT at once. Raises `Fault` on a certificate that cannot
    be used.
    """

    def __init__(
        self, asgi: Any, cert: Path | None = None, key: Path | None = None, *, on_signals: bool = True
    ) -> None:
        config = uvicorn.Config(
            asgi,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
            ssl_certfile=None if cert is None else str(cert),
            ssl_keyfile=None if key is None else str(key),
        )
        try:
            config.load()
        except (OSError, ssl.SSLError) as error:
            raise Fault(Kind.INVALID, f"server.tls: the certificate cannot be used: {error}") from None
        super().__init__(config)
        self._on_signals = on_signals
        self._started: Callable[[], None] = lambda: None

    async def run_on(self, listener: socket.socket, started: Callable[[], None] = lambda: None) -> None:
        """Serve until told to stop, and until every call has been dealt with.

        `started` is called as soon as calls are taken, and a signal would end them well.
        """
        self._started = started
        await self.serve([listener])
        # Calls cut short at the end of the grace period still settle: each of them leaves a row.
        left = list(self.server_state.tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does it, but without waiting for idle TLS clients: those that are not reading never confirm the
        end of their line, and would hold up the stop for the whole grace period."""
        cutting = asyncio.create_task(self._cut_idle_lines())
        try:
            await super().shutdown(sockets)
        finally:
            cutting.cancel()

    async def _cut_idle_lines(self) -> None:
        """Cuts each line on which nothing runs and nothing waits to be sent, until there is none."""
        while True:
            await asyncio.sleep(LAST_WORDS_SECONDS)
            for connection in list(self.server_state.connections):
                cycle = getattr(connection, "cycle", None)  # none before the first request
                idle = cycle is None or cycle.response_complete
                if idle and not connection.transport.get_write_buffer_size():
                    connection.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Uvicorn would raise the signal again when it has stopped, before the journal is closed."""
        kinds = (signal.SIGINT, signal.SIGTERM) if self._on_signals else ()
        before = {kind: signal.signal(kind, self.handle_exit) for kind in kinds}
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)
