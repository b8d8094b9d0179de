"""The socket that the server listens on, and its address in words."""

import errno
import socket

from gateway.core.errors import Fault, Kind

BACKLOG = 2048


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
