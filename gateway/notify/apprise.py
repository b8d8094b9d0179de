"""Deliveries to what people read, Slack, Discord, Teams, e-mail, PagerDuty, Telegram and 200 more, through apprise.

apprise blocks and takes half a second to load: it works in a thread and is imported there, with the first delivery.
It looks names up again itself, so a private address is noticed here only as far as the address names its host.
"""

import asyncio
import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from gateway.core.deliveries import Message, Outcome
from gateway.core.keys import Secret
from gateway.notify.guard import Refused, Resolve, Unknown, allowed, look_up

if TYPE_CHECKING:
    from apprise import Apprise

TIME_LIMIT: Final = 25.0
"""Seconds for one try, loading included."""
_QUOTED: Final = 300
"""Characters of apprise's own words that an error repeats."""
_THREADS: Final = 2

_loading = threading.Lock()
"""The library fills a table of its services when it is first used."""


class Service:
    """`ports.Channel` through apprise."""

    kind: Final = "apprise"

    def __init__(
        self,
        name: str,
        url: Secret,
        *,
        allow_private: bool = False,
        resolve: Resolve = look_up,
        time_limit: float = TIME_LIMIT,
    ) -> None:
        self.name = name
        self._url = url
        self._allow_private = allow_private
        self._resolve = resolve
        self._time_limit = time_limit
        # Of its own: a service that hangs must not take the threads that others wait for.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"apprise-{name}")
        self.address = f"{url.reveal().partition(':')[0]}://…"
        self.digest = hashlib.sha256(url.reveal().encode()).hexdigest()

    async def send(self, message: Message) -> Outcome:
        try:
            async with asyncio.timeout(self._time_limit):
                loop = asyncio.get_running_loop()
                service = await loop.run_in_executor(self._threads, self._service)
                await self._guard(service)
                return await loop.run_in_executor(self._threads, _notify, service, message)
        except TimeoutError:
            return Outcome(False, error=f"not sent within {self._time_limit:g} seconds")
        except Refused as refused:
            return Outcome(False, error=str(refused))
        except Exception as error:  # noqa: BLE001 (two hundred services of others: whatever they raise, nothing was sent)
            return Outcome(False, error=f"{type(error).__name__} in apprise")

    def _service(self) -> "Apprise":
        """Raises `Refused` where apprise does not understand the address."""
        with _loading:
            from apprise import Apprise, AppriseAsset

            asset = AppriseAsset(
                app_id="Tollkeeper",
                app_desc="Tollkeeper",
                http_redirects=False,
                storage_mode="memory",
                allow_templates=False,
                service_timeout=self._time_limit,
            )
            service = Apprise(asset=asset)
            if not service.add(self._url.reveal()):
                kind = self.address.removesuffix("://…")
                raise Refused(f"apprise does not understand this address of {kind}; see its list of services")
        return service

    async def _guard(self, service: "Apprise") -> None:
        for host in () if self._allow_private else _hosts(service):
            # A mail domain need not have an address of its own: what cannot be reached is for apprise to say.
            with contextlib.suppress(Unknown):
                await allowed(host, 0, self._resolve, allow_private=False)


def _hosts(service: "Apprise") -> Iterator[str]:
    """The hosts that an address names itself; of a service like Slack it names none."""
    for plugin in service:
        named: Any = plugin
        if any("{host}" in template for template in named.templates):
            yield from {host for host in (named.host, getattr(named, "smtp_host", None)) if host}


def _notify(service: "Apprise", message: Message) -> Outcome:
    from apprise import NotifyFormat, NotifyType

    event = json.loads(message.body)["data"]
    weight = {"critical": NotifyType.FAILURE, "warning": NotifyType.WARNING}.get(event["severity"], NotifyType.INFO)
    if event["state"] == "resolved":
        weight = NotifyType.SUCCESS
    result = service.notify(body=event["text"], title=event["title"], notify_type=weight, body_format=NotifyFormat.TEXT)
    if result:
        return Outcome(True)
    said = [entry.message for one in result for attempt in one for entry in attempt]
    return Outcome(False, error=" ".join(said[-1].split())[:_QUOTED] if said else "apprise could not send it")
