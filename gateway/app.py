"""The composition root: the only place that names a concrete adapter for a port, and mounts both planes.

Reads the settings once and hands values down. Tests build the gateway through the same door.
"""

import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from gateway import __version__
from gateway.control.dependencies import Check, DeclaredKey, Health, Services
from gateway.control.minting import shown_prefix
from gateway.control.router import control_app
from gateway.control.signin import admin_token
from gateway.core.errors import Fault, Kind
from gateway.core.keys import Key, Secret, digest
from gateway.core.pricing import FilePrice, PriceBook
from gateway.core.routing import Alias, Provider, Retries, Target
from gateway.jobs.ledger import LedgerJob
from gateway.jobs.scheduler import Scheduler
from gateway.ports import UpstreamAnswer, UpstreamRequest
from gateway.providers.catalog import KindFacts, base_url_of, is_home, kind_of
from gateway.providers.credentials import auth_headers
from gateway.providers.directory import ModelDirectory
from gateway.providers.price_map import load_price_map
from gateway.providers.proxies import from_environment
from gateway.providers.simulated import SimulatedUpstream, Simulation
from gateway.providers.tokenizer import HelperTokenizer
from gateway.providers.transport import Address, HttpTransport
from gateway.proxy.admit import Admit
from gateway.proxy.authenticate import Authenticate, KeyPolicy, is_loopback
from gateway.proxy.endpoints import DataPlane
from gateway.proxy.forward import Forward
from gateway.proxy.hold import Hold
from gateway.proxy.pipeline import Pipeline
from gateway.proxy.relay import Relay
from gateway.proxy.route import Route
from gateway.proxy.settle import Settle
from gateway.settings import ProviderSettings, Settings
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database
from gateway.storage.journal import JournalWriter
from gateway.storage.keys import KeyRepository, KeyStore
from gateway.storage.ledger import Ledger
from gateway.storage.reports import Reports
from gateway.telemetry.logs import Logs, configure
from gateway.telemetry.metrics import Metrics, StorageStats

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Asgi = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]

KEY_REFRESH = 1.0
"""Seconds between looks for changed keys: a revocation is in force within two."""


class SystemClock:
    """`ports.Clock` on this machine."""

    @staticmethod
    def now_us() -> int:
        return time.time_ns() // 1000

    monotonic = staticmethod(time.monotonic)


@dataclass(frozen=True, slots=True)
class Upstreams:
    """`ports.Upstream` over all providers: real ones over HTTP, simulated ones in this process."""

    real: HttpTransport
    simulated: SimulatedUpstream
    simulations: Mapping[str, Simulation]

    async def ask(self, request: UpstreamRequest, retries: Retries) -> UpstreamAnswer:
        if request.target.provider.name in self.simulations:
            return await self.simulated.ask(request, retries)
        return await self.real.ask(request, retries)

    async def fetch(self, provider: str, path: str, timeout: float) -> tuple[int, bytes]:
        """A GET below a provider's base URL. Raises `UpstreamFault`."""
        if provider in self.simulations:
            return 200, self.simulated.listing(provider)
        return await self.real.fetch(provider, path, timeout)


@dataclass(frozen=True, slots=True)
class Configured:
    """A provider as the settings describe it."""

    provider: Provider
    facts: KindFacts
    base_url: str | None
    api_key: Secret | None
    simulation: Simulation | None


class Gateway:
    """Both planes and the jobs behind them. `asgi` serves between `start` and `stop`."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        """Raises `Fault` and `SettingsError`: what is set does not go together, or cannot be used."""
        self.settings = settings
        self.clock = SystemClock()
        configured = _configured(settings, environ)
        self.providers = {name: one.provider for name, one in configured.items()}
        self.admin_token = admin_token(settings.server.data, environ)
        self.declared, declared_secrets = _declared(settings, environ)
        secrets = (self.admin_token, *declared_secrets, *_provider_keys(configured))
        self.logs: Logs = configure(settings.logging.format, secrets=secrets)
        self.database = Database(settings.database.url)
        self.journal = JournalWriter(
            settings.database.journal, sync=settings.database.journal_sync, max_bytes=settings.database.journal_max
        )
        ledger = Ledger(self.database, DeadLetters(settings.database.journal))
        self.ledger_job = LedgerJob(self.journal, settings.database.journal, ledger)
        self.key_repository = KeyRepository(self.database)
        self.keys = KeyStore(self.key_repository, [declared.key for declared in self.declared])
        self.metrics = Metrics(__version__, self._is_known, self._storage_stats)
        self.tokenizer = HelperTokenizer()
        self.upstreams = self._upstreams(configured)
        self.scheduler = Scheduler()
        self.scheduler.add("ledger", self.ledger_job.run)
        self.scheduler.every("keys", KEY_REFRESH, self.keys.refresh)
        self.prices = self._price_book()
        self.directory = ModelDirectory(self.providers, self.upstreams.fetch)
        self.aliases = _aliases(settings, self.providers)
        observers = (self.logs.calls, self.metrics)
        self.settle = Settle(self.journal, self.tokenizer, observers, self.clock, _crashed)
        self._data = self._data_plane()
        self._control = control_app(self._services())

    async def start(self) -> None:
        """Opens database and journal, replays what the dead left behind, starts the jobs.

        Raises `Fault` if the database cannot be used at all: a gateway starts with its books open.
        """
        await self.database.connect()
        await self.keys.refresh()
        await self.journal.start()
        await self.scheduler.start()

    async def stop(self) -> None:
        """Settles what is open, ships the journal, closes everything. Safe after a failed start."""
        await self.settle.finish()
        await self.upstreams.real.stop()
        await self.scheduler.stop()
        await self.journal.stop(self.ledger_job.mark)
        await self.tokenizer.stop()
        await self.database.close()
        self.logs.stop()

    async def asgi(
        self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        """One port: `/v1` is the data plane, everything else the control plane."""
        if scope["type"] == "http" and (scope["path"].startswith("/v1/") or scope["path"] == "/v1"):
            await self._data(scope, receive, send)
        else:
            await self._control(scope, receive, send)

    # composition

    def _upstreams(self, configured: Mapping[str, Configured]) -> Upstreams:
        simulations = {name: one.simulation for name, one in configured.items() if one.simulation is not None}
        addresses = {
            name: Address(one.base_url, _authoriser(one))
            for name, one in configured.items()
            if one.base_url is not None
        }
        return Upstreams(
            HttpTransport(addresses, proxies=from_environment), SimulatedUpstream(simulations, self.clock), simulations
        )

    def _price_book(self) -> PriceBook:
        known = load_price_map()
        for name, why in known.refused.items():
            logger.warning("the price map's entry %s cannot be used: %s", name, why)
        return PriceBook(known, _file_prices(self.settings))

    def _data_plane(self) -> DataPlane:
        server = self.settings.server
        origins = frozenset(server.allowed_origins)
        route = Route(
            self.providers,
            self.aliases,
            self.prices,
            self.directory,
            refuse_unpriced=self.settings.prices.on_unknown == "refuse",
        )
        required = None if server.keys is None else server.keys == "required"
        authenticate = Authenticate(self.keys, KeyPolicy(required, is_loopback(server.host), origins))
        hold = Hold(self.journal, self.prices, self.clock)
        pipeline = Pipeline(
            authenticate=authenticate,
            admit=Admit(self.clock, server.max_body),
            route=route,
            hold=hold,
            forward=Forward(self.upstreams, hold, self.settle, _retries(self.settings)),
            relay=Relay(self.settle, self.clock, server.buffer_answers),
            settle=self.settle,
            crashed=_crashed,
        )
        return DataPlane(
            pipeline, authenticate, route, self.clock, lambda reason, peer: self.metrics.rejected(reason), origins
        )

    def _services(self) -> Services:
        return Services(
            version=__version__,
            admin_digest=digest(self.admin_token.reveal()),
            clock=self.clock,
            keys=self.key_repository,
            ring=self.keys,
            reports=Reports(self.database),
            health=Health(
                database=self._database_health, journal=self._journal_health, providers=self._provider_health
            ),
            metrics=self.metrics.registry,
            metrics_open=self.settings.server.metrics == "open",
            declared_keys=self.declared,
        )

    # how we are

    async def _database_health(self) -> Check:
        lag = self.ledger_job.stats()
        if lag.last_error is not None:
            return Check(False, f"the journal is taking over: {lag.last_error}")
        return Check(True, "the database takes every call")

    async def _journal_health(self) -> Check:
        stats = self.journal.stats()
        if stats.trouble is not None:
            return Check(False, stats.trouble)
        return Check(True, f"{stats.bytes_on_disk} of {stats.max_bytes} bytes on disk")

    async def _provider_health(self) -> Check:
        if not self.providers:
            return Check(False, "no provider is configured")
        return Check(True, ", ".join(self.providers))

    def _storage_stats(self) -> StorageStats:
        lag = self.ledger_job.stats()
        return StorageStats(
            backlog_bytes=lag.backlog_bytes,
            oldest_frame_age_seconds=lag.oldest_age_seconds,
            journal_bytes=self.journal.stats().bytes_on_disk,
            dead_letters=lag.dead_letters,
            corrupt_frames=lag.corrupt,
            torn_frames=lag.torn,
            log_lines_dropped=self.logs.dropped,
        )

    def _is_known(self, target: str) -> bool:
        """Whether a target deserves a label of its own in the metrics: clients can ask for any name."""
        name, _, model = target.partition("/")
        provider = self.providers.get(name)
        if provider is None:
            return False
        aliased = any(one.name == target for alias in self.aliases.values() for one in alias.targets)
        return aliased or self.directory.lists(name, model) or self.prices.find(Target(provider, model)) is not None


def build(settings: Settings, environ: Mapping[str, str] | None = None) -> Gateway:
    """A gateway for these settings. Raises `Fault` and `SettingsError`."""
    return Gateway(settings, os.environ if environ is None else environ)


def _crashed(error: BaseException) -> None:
    logger.error("a call crashed", exc_info=error)


# from settings to core values


def _configured(settings: Settings, environ: Mapping[str, str]) -> dict[str, Configured]:
    return {name: _provider(name, one, settings, environ) for name, one in settings.providers.items()}


def _provider(name: str, given: ProviderSettings, settings: Settings, environ: Mapping[str, str]) -> Configured:
    facts = kind_of(name, given.kind)
    api_key = Secret(given.api_key.resolve(environ)) if given.api_key is not None else None
    auth_headers(facts, api_key, None)  # a key that cannot be sent is an error at start, not at the first call
    if facts.name == "simulated":
        shape = given.simulate
        simulation = (
            Simulation()
            if shape is None
            else Simulation(shape.ttft, shape.itl, shape.jitter, shape.output_tokens, shape.errors, shape.seed)
        )
        return Configured(Provider(name, facts.name, False, facts.quirks), facts, None, api_key, simulation)
    base_url = base_url_of(facts, given.base_url)
    _refuse_circle(name, base_url, settings)
    provider = Provider(name, facts.name, is_home(facts, base_url), facts.quirks)
    return Configured(provider, facts, base_url, api_key, None)


def _refuse_circle(name: str, base_url: str, settings: Settings) -> None:
    parts = urlsplit(base_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = parts.hostname or ""
    ours = settings.server.host
    here = host == ours or (is_loopback(host) and (is_loopback(ours) or _is_everywhere(ours)))
    if here and port == settings.server.port:
        raise Fault(
            Kind.INVALID,
            f"the base URL of providers.{name} leads back to this gateway",
            hint="give the provider's own address",
            param=f"providers.{name}.base_url",
        )


def _is_everywhere(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def _authoriser(one: Configured) -> Callable[[Secret | None], list[tuple[str, str]]]:
    return lambda client_key: auth_headers(one.facts, one.api_key, client_key)


def _provider_keys(configured: Mapping[str, Configured]) -> list[Secret]:
    return [one.api_key for one in configured.values() if one.api_key is not None]


def _aliases(settings: Settings, providers: Mapping[str, Provider]) -> dict[str, Alias]:
    return {
        name: Alias(name, tuple(_target(text, providers) for text in model.targets))
        for name, model in settings.models.items()
    }


def _target(text: str, providers: Mapping[str, Provider]) -> Target:
    provider, _, model = text.partition("/")
    return Target(providers[provider], model)


def _file_prices(settings: Settings) -> list[FilePrice]:
    return [
        FilePrice(pattern, price.usd_per_million, price.usd_per_call, bool(price.free), price.like)
        for pattern, price in settings.prices.targets.items()
    ]


def _retries(settings: Settings) -> Retries:
    given = settings.retries
    return Retries(
        attempts=given.attempts,
        timeout=given.timeout,
        connect_timeout=given.connect_timeout,
        first_byte_timeout=given.first_byte_timeout,
        idle_timeout=given.idle_timeout,
        retry_uncertain=given.uncertain == "retry",
    )


def _declared(settings: Settings, environ: Mapping[str, str]) -> tuple[tuple[DeclaredKey, ...], tuple[Secret, ...]]:
    """The keys of the file, and their secrets for the log's eyes only."""
    declared, secrets = [], []
    for name, given in settings.keys.items():
        secret = given.secret.resolve(environ)
        secrets.append(Secret(secret))
        expires = None if given.expires_at is None else int(given.expires_at.timestamp() * 1_000_000)
        key = Key(
            id=f"file:{name}",
            name=name,
            prefix=shown_prefix(Secret(secret)),
            digest=digest(secret),
            created_us=0,
            team=given.team,
            models=given.models,
            labels=given.labels,
            expires_us=expires,
            source="file",
        )
        place = f"{settings.file.name}, line {given.line}" if settings.file and given.line else None
        declared.append(DeclaredKey(key, place))
    return tuple(declared), tuple(secrets)
