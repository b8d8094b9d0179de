"""A price map from somewhere else: a file, or an http(s) address. Fetches bytes; what they say is read elsewhere.

Goes through the same door as calls to providers: its time limits, its check of certificates, its proxies, no redirects.
"""

import asyncio
import hashlib
import re
from pathlib import Path
from urllib.parse import urlsplit

from gateway.core.errors import Fault, Kind
from gateway.core.keys import Secret
from gateway.providers.proxies import from_environment
from gateway.providers.transport import Address, HttpTransport

NEWEST = "https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json"
"""Where litellm's authors publish the map that comes with this software."""

_PATIENCE = 60.0
"""Seconds for the whole of it."""
_DIGEST = re.compile(r"[0-9A-Fa-f]{64}")
_STAYS = "nothing was changed"


async def fetch_map(source: str, sha256: str | None = None) -> bytes:
    """The bytes behind a path or an address.

    Raises `Fault`: not found or unavailable if there is nothing to read, invalid if the digest is another.
    """
    if sha256 is not None and not _DIGEST.fullmatch(sha256):
        raise Fault(Kind.INVALID, f"{sha256!r} is not a SHA-256 digest", hint="write its 64 hexadecimal digits")
    content = await _from_address(source) if "://" in source else await asyncio.to_thread(_from_file, Path(source))
    digest = hashlib.sha256(content).hexdigest()
    if sha256 is not None and sha256.lower() != digest:
        message = f"the SHA-256 of {source} is {digest}, not {sha256.lower()}"
        raise Fault(Kind.INVALID, message, hint=_STAYS)
    return content


def _from_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise Fault(Kind.NOT_FOUND, f"there is no file {path}") from None
    except OSError as error:
        raise Fault(Kind.UNAVAILABLE, f"{path} cannot be read: {error.strerror}") from None


async def _from_address(source: str) -> bytes:
    parts = urlsplit(source)
    folder, _, name = parts.path.rpartition("/")
    if parts.username is not None or parts.password is not None:
        # The address is not repeated: it may hold a password.
        message = "the address of a price map has a user name or password in it, and none is sent"
        raise Fault(Kind.INVALID, message, hint="fetch it by other means and name the file")
    if parts.scheme not in ("http", "https") or parts.fragment or not (parts.netloc and name):
        hint = "write something like https://example.com/prices.json, or the path of a file"
        raise Fault(Kind.INVALID, f"{source} is not the address of a price map", hint=hint)
    address = Address(f"{parts.scheme}://{parts.netloc}{folder}", _without_credentials)
    transport = HttpTransport({source: address}, proxies=from_environment)
    try:
        status, body = await transport.fetch(source, f"{name}?{parts.query}" if parts.query else name, _PATIENCE)
    except Fault as fault:
        # What went wrong on the way names no address, for calls have one that their caller did not choose.
        raise Fault(fault.kind, f"{source} cannot be fetched: {fault.message}", hint=_STAYS) from None
    finally:
        await transport.stop()
    if status != 200:
        moved = "; give the address itself, redirects are not followed" if 300 <= status < 400 else ""
        raise Fault(Kind.UNAVAILABLE, f"{source} answers {status}", hint=_STAYS + moved)
    return body


def _without_credentials(_: Secret | None) -> list[tuple[str, str]]:
    return []
