"""What comes from elsewhere: prices, and providers that answer."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime

from gateway.app.configured import Configured, authoriser_of, configured_providers
from gateway.cli.doctor.finding import Finding, failed, fault, ok, warning
from gateway.cli.prices_desk import Desk, desk_on, file_prices, providers_of
from gateway.core.errors import Fault
from gateway.core.pricing import PriceBook
from gateway.providers.price_map import load_price_map
from gateway.providers.proxies import from_environment
from gateway.providers.transport import Address, HttpTransport
from gateway.settings import Settings, SettingsError
from gateway.storage.engine import Database

PATIENCE = 5.0
"""Seconds that a provider may take to answer, and to be connected to."""
SKEW = 5.0
"""Seconds by which a provider's clock may differ from ours."""
_REFUSED = (401, 403)
_BUSY = 429


async def prices(settings: Settings, db: Database | None) -> Finding:
    """Whether the book of prices can be read, and knows what aliases lead to."""
    try:
        desk = _bundled(settings) if db is None else await desk_on(settings, db)
        wanted = dict.fromkeys(target for model in settings.models.values() for target in model.targets)
        unknown = [name for name in wanted if desk.book.find(desk.target(name)) is None]
        doubts = [doubt for entry in file_prices(settings) if (doubt := desk.doubt(entry)) is not None]
    except Fault as error:
        return fault("prices", error)
    if doubts:
        worst = max(doubts, key=lambda doubt: doubt.sure)
        told = f"{worst.target}: {worst.sentence}"
        return (failed if worst.sure else warning)("prices", told, worst.advice)
    count = sum(map(len, desk.known.prices.values()))
    seen = f"{count:,} of {desk.known.version}, {len(desk.settings.prices.targets)} stated in the settings"
    if unknown:
        advice = "their cost would be unknown: state it under `prices:`, or by `tollkeeper prices set`"
        return warning("prices", f"{seen}; none for {', '.join(unknown)}", advice)
    return ok("prices", seen)


def _bundled(settings: Settings) -> Desk:
    known = load_price_map()
    return Desk(settings, providers_of(settings), known, (), PriceBook(known, file_prices(settings)))


async def providers(
    settings: Settings, environ: Mapping[str, str], patience: float = PATIENCE
) -> AsyncIterator[Finding]:
    """Each provider, asked for its models: that costs nothing. All at once, told in the order of the settings."""
    if not settings.providers:
        yield failed("providers", "none is configured", "set OPENAI_API_KEY, or name one under `providers:`")
        return
    asked = [_provider(name, settings, environ, patience) for name in settings.providers]
    clocks: dict[str, float | None] = {}
    for name, answer in zip(settings.providers, [asyncio.ensure_future(question) for question in asked], strict=True):
        finding, clock = await answer
        yield finding
        if clock is not SIMULATED:
            clocks[name] = clock.apart
    if clocks:
        yield providers_clocks(clocks)


@dataclass(frozen=True, slots=True)
class ProviderClock:
    """How far a provider's clock is ahead of ours."""

    apart: float | None
    """Seconds, negative if it is behind; null if it did not say."""


SILENT = ProviderClock(None)
SIMULATED = ProviderClock(0.0)
"""Our own clock, which says nothing about itself."""


async def _provider(
    name: str, settings: Settings, environ: Mapping[str, str], patience: float
) -> tuple[Finding, ProviderClock]:
    check = f"provider {name}"
    alone = replace(settings, providers={name: settings.providers[name]})
    try:
        configured = configured_providers(alone, environ)[name]
        if configured.base_url is None:
            return ok(check, "simulated: costs nothing"), SIMULATED
        begun = time.monotonic()
        async with asyncio.timeout(2 * patience):
            status, clock = await _asked(configured, configured.base_url, patience)
    except SettingsError as error:
        return failed(check, "; ".join(map(str, error.problems)), None), SILENT
    except Fault as error:
        return failed(check, error.message, error.hint or "see its base_url, the network and the proxy"), SILENT
    except TimeoutError:
        return failed(check, f"no answer within {2 * patience:g} s", "see whether it works"), SILENT
    took_ms = (time.monotonic() - begun) * 1000
    return answered(check, status, took_ms, has_key=configured.api_key is not None), clock


async def _asked(configured: Configured, base_url: str, patience: float) -> tuple[int, ProviderClock]:
    """The status of its answer, and its clock. Raises `Fault`."""
    name = configured.provider.name
    address = Address(base_url, authoriser_of(configured))
    transport = HttpTransport({name: address}, proxies=from_environment)
    try:
        begun = time.time()
        status, fields, _ = await transport.get(name, "models", patience)
        stated = next((value for field, value in fields if field.lower() == "date"), "")
        return status, ProviderClock(apart(stated, begun, time.time()))
    finally:
        await transport.stop()


def apart(date: str, begun: float, ended: float) -> float | None:
    """By how many seconds the clock behind a `Date` is surely ahead of ours, which said `begun` and `ended` around it.

    A `Date` has whole seconds. Null: it is none.
    """
    try:
        stated = parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
    if stated > ended:
        return stated - ended
    return min(stated + 1 - begun, 0.0)


def providers_clocks(clocks: Mapping[str, float | None]) -> Finding:
    """This machine's clock beside the providers': it is wrong where none that says its time agrees with it."""
    check = "clock of providers"
    known = {name: seconds for name, seconds in clocks.items() if seconds is not None}
    if not known:
        return ok(check, "not compared: no provider said what time it is")
    off = [
        f"{name}'s is {abs(s):,.0f} s {'ahead' if s > 0 else 'behind'}" for name, s in known.items() if abs(s) > SKEW
    ]
    if len(off) == len(known):
        advice = "let NTP set this machine's clock: calls are counted, and priced, by the hour it says"
        return warning(check, "; ".join(off), advice)
    return ok(check, "; ".join([f"within {SKEW:g} s of ours", *off]))


def answered(check: str, status: int, took_ms: float, *, has_key: bool) -> Finding:
    """What an answer to the question for models means."""
    if status == 200:
        return ok(check, f"lists its models, in {took_ms:,.0f} ms")
    if status in _REFUSED and has_key:
        return failed(check, f"it refuses our key ({status})", "see where `api_key` leads, and whether the key is good")
    if status in _REFUSED:
        advice = "set `api_key`, unless clients send keys of their own"
        return warning(check, f"it wants a key and none is configured ({status})", advice)
    if status == _BUSY or status >= 500:
        return warning(check, f"it answers {status}", "it is busy or in trouble: try again later")
    return ok(check, f"answers, and lists no models ({status})")
