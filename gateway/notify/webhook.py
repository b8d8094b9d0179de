"""Deliveries to webhooks, signed as Standard Webhooks says, by a client that goes where it was told and nowhere else.

No redirects, no proxies, no connection used twice; an answer is read to its status and a line of its text.
"""

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import ssl
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import httpx

from gateway.core.deliveries import Message, Outcome
from gateway.core.errors import Fault, Kind
from gateway.core.keys import Secret
from gateway.notify.guard import Refused, Resolve, allowed, look_up

TIME_LIMIT: Final = 15.0
"""Seconds for one try, from the look-up of the name to the answer."""
CONNECT_LIMIT: Final = 5.0
_READ: Final = 4096
"""Bytes of an answer's body that are read,"""
_READ_LIMIT: Final = 1.0
"""and for how many seconds."""
_QUOTED: Final = 200
"""Characters of an answer that an error repeats."""
_MOST_ADDRESSES: Final = 4
_PREFIX: Final = "whsec_"


class Webhook:
    """`ports.Channel` over HTTP."""

    kind: Final = "webhook"

    def __init__(
        self,
        name: str,
        url: str,
        secret: Secret,
        now_us: Callable[[], int],
        *,
        allow_private: bool = False,
        resolve: Resolve = look_up,
        tls: ssl.SSLContext | None = None,
        time_limit: float = TIME_LIMIT,
    ) -> None:
        """`tls`: whom to trust; the usual authorities unless given. Raises `Fault` (invalid): a secret that cannot
        sign."""
        self.name = name
        self._url = httpx.URL(url)
        self._key = signing_key(secret, name)
        self._now_us = now_us
        self._allow_private = allow_private
        self._resolve = resolve
        self._tls = tls
        self._time_limit = time_limit
        self.address = _shown(url)
        # Without the secret: another one does not make another receiver of it, and what is stored tells nothing of it.
        self.digest = hashlib.sha256(url.encode()).hexdigest()

    async def send(self, message: Message) -> Outcome:
        try:
            async with asyncio.timeout(self._time_limit):
                return await self._send(message)
        except TimeoutError:
            return Outcome(False, error=f"no whole answer within {self._time_limit:g} seconds")
        except Refused as refused:
            return Outcome(False, error=str(refused))
        except httpx.TimeoutException:
            return Outcome(False, error=f"no connection within {CONNECT_LIMIT:g} seconds")
        except httpx.ConnectError as error:
            return Outcome(False, error=f"no connection: {error}")
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
            return Outcome(False, error=f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)

    async def _send(self, message: Message) -> Outcome:
        url = self._url
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = await allowed(url.host, port, self._resolve, allow_private=self._allow_private)
        body = message.body.encode()
        at = self._now_us() // 1_000_000
        headers = {
            "host": url.netloc.decode("ascii"),
            "content-type": "application/json",
            "accept-encoding": "identity",
            "user-agent": "tollkeeper",
            "webhook-id": message.id,
            "webhook-timestamp": str(at),
            "webhook-signature": signature(self._key, message.id, at, body),
        }
        if self._tls is None and url.scheme == "https":
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        *others, last = addresses[:_MOST_ADDRESSES]
        for address in others:
            with contextlib.suppress(httpx.ConnectError, httpx.ConnectTimeout):
                return await self._post(address, headers, body)
        return await self._post(last, headers, body)

    async def _post(self, address: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """To this address and no other; TLS proves the name all the same."""
        client = httpx.AsyncClient(
            verify=self._tls or False,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(self._time_limit, connect=CONNECT_LIMIT),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=0),
        )
        pinned = self._url.copy_with(host=address)
        named = {"sni_hostname": self._url.raw_host.decode("ascii")}
        async with client:
            request = client.build_request("POST", pinned, headers=dict(headers), content=body, extensions=named)
            answer = await client.send(request, stream=True)
            try:
                # What is delivered is so with the head of the answer: its body may lie, stall or never end.
                return self._outcome(answer, "" if answer.is_success else await _beginning(answer))
            finally:
                await answer.aclose()

    def _outcome(self, answer: httpx.Response, text: str) -> Outcome:
        status = answer.status_code
        if 200 <= status < 300:
            return Outcome(True, status)
        error = f"answered {status}"
        if 300 <= status < 400:
            error += "; redirects are not followed, give the address that it leads to"
        elif text:
            error += f": {text}"
        asked = _seconds(answer.headers.get("retry-after"), self._now_us() / 1e6)
        return Outcome(False, status, error, asked, gone=status == 410)


def signing_key(secret: Secret, channel: str) -> bytes:
    """The bytes to sign with: `whsec_` and base64, or any other text as it is. Raises `Fault` (invalid)."""
    text = secret.reveal()
    if not text.startswith(_PREFIX):
        return text.encode()
    encoded = text.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise Fault(
            Kind.INVALID,
            f"the secret of alerts.channels.{channel} begins with {_PREFIX} and goes on with what is not base64",
            hint=f"write {_PREFIX} and the base64 of 24 to 64 random bytes, or any text without {_PREFIX}",
            param=f"alerts.channels.{channel}.secret",
        )
    return key


def signature(key: bytes, id: str, at: int, body: bytes) -> str:
    """`webhook-signature`; `at` is in seconds since 1970 UTC."""
    signed = b".".join((id.encode(), str(at).encode(), body))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii")


async def _beginning(answer: httpx.Response) -> str:
    """What a refusal says, for an operator to read: as much as comes soon, never more than a little."""
    read = b""
    with contextlib.suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(_READ_LIMIT):
            async for piece in answer.aiter_raw(_READ):
                read += piece
                if len(read) >= _READ:
                    break
    line = " ".join(read[:_READ].decode(errors="replace").split())[:_QUOTED]
    return "".join(character if character.isprintable() else "?" for character in line)


def _seconds(field: str | None, now: float) -> float | None:
    """How long a `retry-after` asks to wait: a number of seconds, or a date."""
    if field is None:
        return None
    if field.strip().isascii() and field.strip().isdigit():
        return float(field.strip()[:9])
    try:
        return max(parsedate_to_datetime(field).timestamp() - now, 0.0)
    except (ValueError, OverflowError):
        return None


def _shown(url: str) -> str:
    """Scheme and host: the rest of a webhook's address is often as good as a key."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" + ("/…" if parts.path.strip("/") or parts.query else "")
