"""What the features are given: one frozen bundle, filled by the composition root, and how a handler gets at it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Annotated, Any, TypeAlias

import orjson
from fastapi import Depends, Request
from fastapi.dependencies.utils import get_flat_params
from prometheus_client import CollectorRegistry
from pydantic import StringConstraints
from starlette.responses import JSONResponse

from gateway.control.alerts_desk import AlertDesk
from gateway.control.budget_terms import Models
from gateway.control.limits_desk import LimitDesk
from gateway.core.budgets import Budget
from gateway.core.errors import Fault, Kind
from gateway.core.keys import Key
from gateway.core.pricing import FilePrice, PriceBook
from gateway.core.pricing.doubts import Doubt
from gateway.core.routing import Provider
from gateway.ports import Clock
from gateway.storage.budget_standings import BudgetStandings
from gateway.storage.budgets import BudgetRepository, BudgetStore
from gateway.storage.keys import KeyRepository, KeyStore
from gateway.storage.prices import PriceRepository, PriceStore
from gateway.storage.reports import Reports

ACTOR = "admin"
"""Who changed something through this API, in the audit entries: there is one admin token, hence one name."""


@dataclass(frozen=True, slots=True)
class Check:
    """The state of one thing that serving calls depends on."""

    ok: bool
    detail: str
    """One sentence for the operator; shown only to those who may see it."""


Probe: TypeAlias = Callable[[], Awaitable[Check]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What `/readyz` asks, each time it is asked."""

    database: Probe
    journal: Probe
    """Whether the journal takes what comes, with the database or without it."""
    figures: Probe
    """Whether every call reaches the figures, and how much of them is known."""
    providers: Probe


@dataclass(frozen=True, slots=True)
class DeclaredKey:
    """A key that the settings file declares, and where: `tollkeeper.yaml, line 12`."""

    key: Key
    place: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceDesk:
    """Everything about prices."""

    repository: PriceRepository
    store: PriceStore
    """Refreshed after each change, so that it holds here at once."""
    book: PriceBook
    """Those in force in this process."""
    doubt: Callable[[FilePrice], Doubt | None]
    """What makes a price hard to believe; null if nothing does."""
    providers: Mapping[str, Provider]
    aliased: tuple[str, ...] = ()
    """Targets that aliases lead to."""
    places: Mapping[str, str | None] = field(default_factory=dict)
    """What the settings file declares prices for, and where: `tollkeeper.yaml, line 12`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetDesk:
    """Everything about budgets."""

    repository: BudgetRepository
    store: BudgetStore
    """Refreshed after each change, so that it holds here at once."""
    standings: BudgetStandings
    models: Models
    """What a budget may downgrade to."""
    declared: tuple[Budget, ...] = ()
    """Those of the settings file."""
    places: Mapping[str, str | None] = field(default_factory=dict)
    """Where the settings file declares them: `tollkeeper.yaml, line 12`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything the control plane works with."""

    version: str
    admin_digest: str
    """SHA-256 of the admin token, hexadecimal (`core.keys.digest`)."""
    clock: Clock
    keys: KeyRepository
    ring: KeyStore
    """The keys in this process's memory, refreshed after each change so that it holds here at once."""
    prices: PriceDesk
    alerts: AlertDesk
    budgets: BudgetDesk
    limits: LimitDesk
    reports: Reports
    health: Health
    metrics: CollectorRegistry
    metrics_open: bool = False
    """`server.metrics: open`: metrics and health details without a token from anywhere."""
    declared_keys: tuple[DeclaredKey, ...] = ()


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Given = Annotated[Services, Depends(_services)]

Filter = Annotated[str, StringConstraints(min_length=1)]
"""A value to filter by. An empty one is refused: it reads as "any" to one person and as "none" to the next."""


def refuse_strange(request: Request) -> None:
    """A mistyped filter would show everything, of `?team=a&team=b` one half would count: both in silence."""
    names = [name for name, _ in request.query_params.multi_items()]
    declared = get_flat_params(request.scope["route"].dependant)
    known = [field.alias for field in declared if field.alias not in request.path_params]
    for name in names:
        if name not in known:
            raise Fault(Kind.INVALID, f"`{name}` is no parameter here", hint=_meant(name, known), param=name)
        if names.count(name) > 1:
            raise Fault(Kind.INVALID, f"`{name}` is given more than once", param=name)


def _meant(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1)
    if near:
        return f"did you mean `{near[0]}`?"
    return f"these can be: {', '.join(known)}" if known else "it takes none"


class Json(JSONResponse):
    """A JSON answer of plain values, without a second pass of validation."""

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)
