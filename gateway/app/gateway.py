"""The composition root: the only place that names a concrete adapter for a port, and mounts both planes.

Reads the settings once and hands values down. Tests build the gateway through the same door.
"""

import logging
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from gateway import __version__
from gateway.app.alerts import alert_desk, channels_of, watchers
from gateway.app.budget_desk import budget_desk
from gateway.app.configured import (
    aliases_of,
    configured_providers,
    database_secrets,
    declared_keys,
    provider_keys,
    retries_of,
)
from gateway.app.downgrades import downgrade_problems
from gateway.app.health import Condition
from gateway.app.limits import limit_desk
from gateway.app.prices import price_book, price_desk
from gateway.app.reports import reports_job
from gateway.app.team import SHOW_EVERY, Team
from gateway.app.upstreams import upstreams_of
from gateway.control.budget_terms import Models
from gateway.control.dependencies import Services
from gateway.control.router import control_app
from gateway.control.signin import admin_token
from gateway.core.accounts import Account
from gateway.core.actions import InForce
from gateway.core.budgets import Budgets
from gateway.core.escrow import Charged
from gateway.core.keys import digest
from gateway.core.routing import Target
from gateway.jobs.alerts import AlertsJob
from gateway.jobs.deliveries import DeliveryJob
from gateway.jobs.leases import Leases
from gateway.jobs.ledger import LedgerJob
from gateway.jobs.rates import Rates
from gateway.jobs.reports import ReportsJob
from gateway.jobs.scheduler import Scheduler
from gateway.jobs.thresholds import Thresholds
from gateway.ports import Clock
from gateway.providers.directory import ModelDirectory
from gateway.providers.price_map import read_price_map
from gateway.providers.tokenizer import HelperTokenizer
from gateway.proxy.admit import Admit
from gateway.proxy.authenticate import Authenticate, KeyPolicy, is_loopback
from gateway.proxy.endpoints import DataPlane
from gateway.proxy.forward import Forward
from gateway.proxy.hold import Hold, Terms
from gateway.proxy.pace import Pace
from gateway.proxy.pipeline import Pipeline
from gateway.proxy.relay import Relay
from gateway.proxy.route import Route
from gateway.proxy.settle import Settle
from gateway.settings import Settings, SettingsError
from gateway.storage.accounts import Accounts
from gateway.storage.actions import ActionRepository, ActionStore
from gateway.storage.clock import wall_clock_us
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database
from gateway.storage.journal import JournalWriter
from gateway.storage.journal_folder import bytes_of
from gateway.storage.keys import KeyRepository, KeyStore
from gateway.storage.ledger import Ledger
from gateway.storage.partitions import Months
from gateway.storage.prices import PriceRepository, PriceStore
from gateway.storage.reports import Reports
from gateway.telemetry.counts import Told
from gateway.telemetry.logs import Logs, configure
from gateway.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Asgi = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]

KEY_REFRESH = 1.0
"""Seconds between looks for changed keys: a revocation is in force within two."""
PRICE_REFRESH = 1.0
"""Seconds between looks for changed prices."""
BUDGET_REFRESH = 1.0
"""Seconds between looks for changed budgets and limits, and for what alert rules have done."""
MONTHS_REFRESH = 3600.0
"""Seconds between looks whether the ledger has its next months."""


class SystemClock:
    """`ports.Clock` on this machine."""

    now_us = staticmethod(wall_clock_us)
    monotonic = staticmethod(time.monotonic)


class Gateway:
    """Both planes and the jobs behind them. `asgi` serves between `start` and `stop`."""

    def __init__(
        self, settings: Settings, environ: Mapping[str, str], team: Team | None = None, clock: Clock | None = None
    ) -> None:
        """`team`: where several workers serve as one; `clock`: another than this machine's. Raises `Fault` and
        `SettingsError`: what is set does not go together, or cannot be used."""
        self.settings = settings
        self.team = team
        self.clock = SystemClock() if clock is None else clock
        now_us = self.clock.now_us
        configured = configured_providers(settings, environ)
        self.providers = {name: one.provider for name, one in configured.items()}
        self.admin_token = admin_token(settings.server.data, environ)
        self.declared, declared_secrets = declared_keys(settings, environ)
        channels, channel_secrets = channels_of(settings, environ, now_us)
        own_secrets = (self.admin_token, *declared_secrets, *channel_secrets)
        secrets = (*own_secrets, *provider_keys(configured), *database_secrets(settings))
        self.logs: Logs = configure(settings.logging.format, secrets=secrets)
        self.database = Database(settings.database.url)
        self.journal = JournalWriter(
            settings.database.journal,
            sync=settings.database.journal_sync,
            max_bytes=settings.database.journal_max,
            writers=1 if team is None else team.size,
        )
        self.key_repository = KeyRepository(self.database, now_us)
        self.keys = KeyStore(self.key_repository, [declared.key for declared in self.declared], now_us)
        self.aliases = aliases_of(settings, self.providers)
        self.actions = ActionStore(ActionRepository(self.database, now_us))
        models = Models(tuple(self.aliases), tuple(self.providers))
        self.budget_desk = budget_desk(settings, self.database, self.actions, models, now_us)
        self.budgets = self.budget_desk.store
        self.metrics = Metrics(
            __version__,
            self._is_known,
            lambda: self.condition.storage(),
            everybody=None if team is None else self._everybody,
            before=None if team is None else team.before,
        )
        observers = (self.logs.calls, self.metrics)
        self.alerts = alert_desk(settings, self.database, channels, self.actions, now_us, self.journal.id)
        self.limits = limit_desk(settings, self.database, now_us)
        self.leases, self.rates = self._slices()
        ledger = Ledger(self.database, DeadLetters(settings.database.journal), now_us, self._charged)
        self.ledger_job = LedgerJob(self.journal, settings.database.journal, ledger, now_us, observers)
        self.condition = self._condition()
        self.thresholds, self.watching = self._watchers()
        self.tokenizer = HelperTokenizer()
        self.upstreams = upstreams_of(configured, self.clock)
        self.prices = price_book(settings, self.providers)
        if wrong := list(downgrade_problems(settings, self.providers, self.aliases, self.prices)):
            raise SettingsError(wrong)
        self.price_repository = PriceRepository(self.database, now_us)
        self.price_store = PriceStore(self.price_repository, self.prices, read_price_map, now_us)
        self.scheduler = self._jobs()
        self.directory = ModelDirectory(self.providers, self.upstreams.fetch)
        self.settle = Settle(self.journal, self.tokenizer, observers, self.clock, _crashed, self.leases, self.rates)
        self._data = self._data_plane()
        self._control = control_app(self._services())

    async def start(self) -> None:
        """Opens database and journal, replays what the dead left behind, starts the jobs.

        Raises `Fault` if the database cannot be used at all: a gateway starts with its books open.
        """
        await self.database.connect()
        await self.keys.refresh()
        await self.price_store.refresh()
        await self._refresh_budgets()
        await self.limits.store.refresh()
        await self.journal.start()
        await self.scheduler.start()

    async def stop(self) -> None:
        """Settles what is open, ships the journal, closes everything. Safe after a failed start."""
        await self.settle.finish()
        await self.upstreams.real.stop()
        await self.scheduler.stop()
        await self.journal.stop(self.ledger_job.mark)
        await self.ledger_job.forget()
        self._show_others()
        await self.tokenizer.stop()
        await self.database.close()
        self.logs.stop()

    def asgi(
        self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> Awaitable[None]:
        """One port: `/v1` is the data plane, everything else the control plane."""
        if scope["type"] == "http" and (scope["path"].startswith("/v1/") or scope["path"] == "/v1"):
            return self._data(scope, receive, send)
        return self._control(scope, receive, send)

    # composition

    def _slices(self) -> tuple[Leases, Rates]:
        """What this process may spend and use, out of the accounts in SQL."""
        accounts = Accounts(self.database, self.journal.id)
        leases = Leases(accounts, self.clock, self.budgets.limit_of, patience=self.settings.holds.wait)
        return leases, Rates(accounts, self.clock, self.limits.store.limit_of)

    def _watchers(self) -> tuple[Thresholds, AlertsJob | None]:
        return watchers(
            self.settings,
            self.database,
            Accounts(self.database, self.journal.id),
            self.alerts.repository,
            self._budgets_in_force,
            lambda: self.ledger_job.stats().oldest_age_seconds,
            self.clock,
            leads=self.team is None or self.team.leads,
        )

    def _reports(self) -> ReportsJob | None:
        """One process of a machine is enough."""
        if self.team is not None and not self.team.leads:
            return None
        return reports_job(
            self.settings,
            self.database,
            self.alerts.repository,
            lambda: self.budgets.budgets.all,
            lambda: self.ledger_job.stats().oldest_age_seconds,
            self.clock,
        )

    def _jobs(self) -> Scheduler:
        jobs = Scheduler()
        jobs.add("ledger", self.ledger_job.run)
        jobs.every("keys", KEY_REFRESH, self.keys.refresh)
        jobs.every("prices", PRICE_REFRESH, self.price_store.refresh)
        jobs.every("budgets", BUDGET_REFRESH, self._refresh_budgets)
        jobs.add("leases", self.leases.run)
        jobs.every("limits", BUDGET_REFRESH, self.limits.store.refresh)
        jobs.add("rates", self.rates.run)
        jobs.every("months", MONTHS_REFRESH, Months(self.database, self.clock.now_us).make)
        jobs.add("thresholds", self.thresholds.run)
        if self.watching is not None:
            jobs.add("alerts", self.watching.run)
        if (reports := self._reports()) is not None:
            jobs.add("reports", reports.run)
        if self.alerts.channels:
            channels = [one.channel for one in self.alerts.channels.values()]
            sender = DeliveryJob(self.alerts.outbox, channels, self.clock, random.random, self.journal.id)
            jobs.add("deliveries", sender.run)
        if self.team is not None:
            jobs.every("team", SHOW_EVERY, self._show_now_and_then)
        return jobs

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
        policy = KeyPolicy(required, is_loopback(server.host), origins)
        authenticate = Authenticate(self.keys, policy, self._by_key, self._actions_in_force)
        retries = retries_of(self.settings)
        terms = Terms(retries.attempts, self.settings.holds.min_output_tokens)
        hold = Hold(
            self.journal,
            self.prices,
            self.clock,
            self.leases,
            self._budgets_in_force,
            route,
            terms,
            self.thresholds.refused,
            self._actions_in_force,
        )
        pace = Pace(self.rates, lambda: self.limits.store.limits, self.clock)
        pipeline = Pipeline(
            authenticate=authenticate,
            admit=Admit(self.clock, server.max_body),
            pace=pace,
            route=route,
            hold=hold,
            forward=Forward(self.upstreams, hold, self.settle, retries),
            relay=Relay(self.settle, self.clock, server.buffer_answers, self.leases, pace),
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
            prices=price_desk(
                self.settings, self.providers, self.aliases, self.price_repository, self.price_store, self.prices
            ),
            alerts=self.alerts,
            budgets=self.budget_desk,
            limits=self.limits,
            reports=Reports(self.database),
            health=self.condition.health,
            metrics=self.metrics.registry,
            metrics_open=self.settings.server.metrics == "open",
            declared_keys=self.declared,
        )

    # how we are

    def _condition(self) -> Condition:
        return Condition(
            lag=self.ledger_job.stats,
            reading=lambda: self.scheduler.stats()["keys"].trouble,
            journal=self.journal.stats,
            bytes_on_disk=lambda: bytes_of(self.settings.database.journal),
            log_lines_dropped=lambda: self.logs.dropped,
            providers=self.providers,
            known=self.metrics.known,
            totals=self.metrics.storage,
            team=self.team,
        )

    def _budgets_in_force(self) -> Budgets:
        return self.budgets.budgets

    async def _refresh_budgets(self) -> None:
        """In this order: rules lower budgets."""
        await self.actions.refresh()
        await self.budgets.refresh()

    def _actions_in_force(self) -> InForce:
        return self.actions.in_force

    def _by_key(self) -> bool:
        return self.budgets.budgets.by_key or self.limits.store.limits.by_key

    def _charged(self, journal_id: str, charges: Mapping[Account, Charged]) -> None:
        """The ledger has charged budgets; what others held is not in this process's slices."""
        if journal_id == self.journal.id:
            self.leases.shipped(charges)
        self.thresholds.charged(charges)

    def _everybody(self) -> list[Told]:
        """What all workers have counted, this one now."""
        assert self.team is not None
        self._show_others()
        return self.team.metrics()

    def _show_others(self) -> None:
        if self.team is not None:
            self.metrics.count_all()  # here, for it is no part of what showing costs
            self.team.show(self.metrics.told, self.condition.checks)

    async def _show_now_and_then(self) -> None:
        if self.team is not None and self.team.due:
            self._show_others()

    def _is_known(self, target: str) -> bool:
        """Whether a target deserves a label of its own in the metrics: clients can ask for any name."""
        name, _, model = target.partition("/")
        provider = self.providers.get(name)
        if provider is None:
            return False
        aliased = any(one.name == target for alias in self.aliases.values() for one in alias.targets)
        return aliased or self.directory.lists(name, model) or self.prices.find(Target(provider, model)) is not None


def build(
    settings: Settings,
    environ: Mapping[str, str] | None = None,
    *,
    team: Team | None = None,
    clock: Clock | None = None,
) -> Gateway:
    """A gateway for these settings; `team`: the workers that it is one of; `clock`: this machine's unless given.

    Raises `Fault` and `SettingsError`.
    """
    return Gateway(settings, os.environ if environ is None else environ, team, clock)


def _crashed(error: BaseException) -> None:
    logger.error("a call crashed", exc_info=error)
