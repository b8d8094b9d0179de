"""The control plane on a database of its own, as the tests drive it."""

from dataclasses import dataclass, replace
from decimal import Decimal

import httpx
from prometheus_client import CollectorRegistry

from gateway.control.alerts_desk import AlertDesk
from gateway.control.budget_terms import Models
from gateway.control.dependencies import BudgetDesk, Check, DeclaredKey, Health, PriceDesk, Services
from gateway.control.limits_desk import LimitDesk
from gateway.control.router import control_app
from gateway.core.budgets import Budget
from gateway.core.keys import Key, digest
from gateway.core.limits import Limit
from gateway.core.pricing import FilePrice, PriceBook
from gateway.core.pricing.doubts import doubt_of
from gateway.core.routing import Provider
from gateway.core.scopes import of_key, scope_of
from gateway.core.windows import Window
from gateway.providers.catalog import KINDS
from gateway.providers.price_map import read_price_map
from gateway.storage.actions import ActionRepository, ActionStore
from gateway.storage.alerts import AlertRepository
from gateway.storage.budget_standings import BudgetStandings
from gateway.storage.budgets import BudgetRepository, BudgetStore
from gateway.storage.deliveries import Outbox
from gateway.storage.engine import Database
from gateway.storage.keys import KeyRepository, KeyStore
from gateway.storage.limits import LimitRepository, LimitStore
from gateway.storage.prices import PriceRepository, PriceStore
from gateway.storage.reports import Reports
from tests.fakes.clock import FakeClock

KNOWN_PRICES = read_price_map(
    b'{"gpt-x": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6, '
    b'"output_cost_per_token": 2e-6, "input_cost_per_token_above_200k_tokens": 3e-6, '
    b'"output_cost_per_token_flex": 1e-6}}',
    "map of the tests",
)
PROVIDERS = {
    "openai": Provider("openai", "openai", at_home=True),
    "gpu-box": Provider("gpu-box", "vllm", at_home=False),
}
TOKEN = "tka-the-admin-token-of-these-tests"
SECRET_OF_THE_FILE = "tk-secret-of-the-file"
FILE_KEY = Key("file:ci", "ci", "tk-secret", digest(SECRET_OF_THE_FILE), 0, team="platform", source="file")
FILE_BUDGET = Budget("everything", 500_000_000_000, Window.MONTH, "Europe/Berlin", source="file")
FILE_LIMITS = (
    Limit("each-key", scope_of([("key", "*")]), rpm=600, source="file"),
    Limit("key:ci", of_key("ci"), tpm=1000, source="file"),
)
LOCAL, REMOTE = "127.0.0.1", "192.0.2.7"


def probe(*, ok: bool, detail: str = "as it should be") -> "FixedProbe":
    return FixedProbe(Check(ok, detail))


@dataclass(frozen=True)
class FixedProbe:
    """A probe that always says the same."""

    check: Check

    async def __call__(self) -> Check:
        return self.check


WELL = Health(database=probe(ok=True), journal=probe(ok=True), figures=probe(ok=True), providers=probe(ok=True))


@dataclass
class Plane:
    """The services behind the API, and clients of it."""

    services: Services
    clock: FakeClock
    database: Database

    def client(
        self, *, token: str | None = TOKEN, peer: str = LOCAL, host: str = "127.0.0.1:4000", **changes: object
    ) -> httpx.AsyncClient:
        """A client at an address; `changes` are fields of `Services` that are different for it."""
        app = control_app(replace(self.services, **changes))  # type: ignore[arg-type]  # fields by name
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app, client=(peer, 50_000), raise_app_exceptions=False),
            base_url=f"http://{host}",
            headers={"authorization": f"Bearer {token}"} if token else {},
        )


def _provider_of(entry: FilePrice) -> Provider | None:
    return PROVIDERS.get(entry.target_pattern.partition("/")[0])


def plane_on(database: Database) -> Plane:
    clock = FakeClock()
    keys = KeyRepository(database, clock.now_us)
    stated = FilePrice("gpu-box/llama-3-8b", {"input": Decimal("0.05"), "output": Decimal("0.20")})
    book = PriceBook(KNOWN_PRICES, [stated])
    prices = PriceRepository(database, clock.now_us)
    budgets = BudgetRepository(database, clock.now_us)
    actions = ActionRepository(database, clock.now_us)
    acting = ActionStore(actions)
    limits = LimitRepository(database, clock.now_us)
    services = Services(
        version="1.2.3",
        admin_digest=digest(TOKEN),
        clock=clock,
        keys=keys,
        ring=KeyStore(keys, (FILE_KEY,), clock.now_us),
        prices=PriceDesk(
            repository=prices,
            store=PriceStore(prices, book, read_price_map, clock.now_us),
            book=book,
            providers=PROVIDERS,
            aliased=("gpu-box/other",),
            places={stated.target_pattern: "tollkeeper.yaml, line 20"},
            doubt=lambda entry: doubt_of(entry, _provider_of(entry), KNOWN_PRICES, KINDS),
        ),
        alerts=AlertDesk(
            AlertRepository(database, now_us=clock.now_us), Outbox(database, clock.now_us), actions, acting
        ),
        budgets=BudgetDesk(
            repository=budgets,
            store=BudgetStore(budgets, (FILE_BUDGET,), lowered=acting.lowered),
            standings=BudgetStandings(database, clock.now_us),
            models=Models(("fast", "small"), tuple(PROVIDERS)),
            declared=(FILE_BUDGET,),
            places={FILE_BUDGET.name: "tollkeeper.yaml, line 30"},
        ),
        limits=LimitDesk(
            repository=limits,
            store=LimitStore(limits, FILE_LIMITS),
            declared=FILE_LIMITS,
            places={"each-key": "tollkeeper.yaml, line 40", "key:ci": "tollkeeper.yaml, line 12"},
        ),
        reports=Reports(database),
        health=WELL,
        metrics=CollectorRegistry(),
        declared_keys=(DeclaredKey(FILE_KEY, "tollkeeper.yaml, line 12"),),
    )
    return Plane(services, clock, database)
