"""Which addresses a delivery may go to: none of this machine, a private network or a cloud's metadata, unless told so.

A name is looked up here, once, and what is connected to is what was looked at: a second look-up could say otherwise.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias

Resolve: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a name, the preferred first. Raises `OSError` if it has none."""

_METADATA: Final = frozenset({IPv4Address("168.63.129.16")})
"""Of a cloud, at a public address. All others are link-local, private or shared."""
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")
_TRANSLATED_HERE: Final = IPv6Network("64:ff9b:1::/48")

_LOOK_UPS: Final = ThreadPoolExecutor(4, thread_name_prefix="look-up")
"""Of their own: a name server that hangs must not take the threads that others wait for."""


class Refused(Exception):
    """Nothing is sent there; the message says why, and what to do."""


class Unknown(Refused):
    """Nothing is sent there, for there is no such place."""


async def look_up(host: str, port: int) -> list[str]:
    """`Resolve` by this machine."""
    asked = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_LOOK_UPS, asked)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


async def allowed(host: str, port: int, resolve: Resolve, *, allow_private: bool) -> list[str]:
    """The addresses behind a host that may be connected to. Raises `Refused` if one may not, `Unknown` without any."""
    try:
        addresses = await resolve(host, port)
    except OSError as error:
        raise Unknown(f"{host} has no address: {error.strerror or error}") from None
    except UnicodeError:
        raise Unknown(f"{host} is no name that has an address") from None
    if not addresses:
        raise Unknown(f"{host} has no address")
    for address in addresses if not allow_private else ():
        why = reason(address)
        if why is not None:
            where = address if address == host else f"{host} leads to {address}, which"
            raise Refused(f"{where} is {why}; `allow_private: true` lets deliveries go there")
    return addresses


def reason(address: str) -> str | None:
    """Why nothing is sent to an address by itself; null if it is anybody's on the internet."""
    ip = _meant(ip_address(address.partition("%")[0]))
    if ip in _METADATA:
        return "where a cloud tells its machines their secrets"
    if ip.is_unspecified or ip.is_loopback:
        return "this machine"
    if ip.is_link_local:
        return "link-local, where clouds tell their machines their secrets"
    if ip.is_multicast:
        return "many machines at once"
    if not ip.is_global or (isinstance(ip, IPv6Address) and ip in _TRANSLATED_HERE):
        return "private or reserved"
    return None


def _meant(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The address of version 4 that one of version 6 stands for, where it does."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _TRANSLATED:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    teredo = ip.teredo
    return ip.ipv4_mapped or ip.sixtofour or (teredo[1] if teredo else ip)
