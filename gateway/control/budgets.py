"""`/admin/budgets`: limits in USD, and how they stand in their windows now.

Budgets of the settings file are shown beside the others and cannot be changed here; of one name the file's holds.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, StringConstraints, WithJsonSchema

from gateway.control import times
from gateway.control.budget_terms import (
    NAME,
    changes_to,
    coming_raise,
    limit_of,
    new_budget,
    percentages_of,
    scope_from,
    zone_of,
)
from gateway.control.budgets_shown import budget_facts, subject_facts
from gateway.control.declared import cursor_in_file, place_in_file, put_in_force, refuse_declared, refuse_taken
from gateway.control.dependencies import ACTOR, Given, Services, refuse_strange
from gateway.core.budgets import Budget, Exhausted, Mode
from gateway.core.errors import Fault, Kind
from gateway.core.windows import Window
from gateway.storage.budget_standings import BudgetStanding, Over

router = APIRouter(prefix="/admin/budgets", tags=["budgets"], dependencies=[Depends(refuse_strange)])

_SUBJECTS = 50
_FIELDS = {"limit_usd": "limit_nano", "timezone": "zone", "on_exhausted": "exhausted", "unpriced": "unpriced_allowed"}
"""What the core calls a field, where that is another word."""


def _read(parse: Callable[[Any], object], expected: type, form: str) -> BeforeValidator:
    """A value by our own rule, its faults as those of the framework."""

    def check(given: object) -> object:
        if not isinstance(given, expected):
            raise ValueError(form)
        try:
            return parse(given)
        except Fault as fault:
            raise ValueError(fault.sentence) from None

    return BeforeValidator(check)


_TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
Amount = Annotated[
    int, _read(limit_of, str, 'money is a text like "500.00"'), WithJsonSchema({"type": "string", "examples": ["500"]})
]
Instant = Annotated[
    int,
    _read(lambda given: times.instant_us(given, "until"), str, "a time is a text like 2026-10-31T08:00:00Z"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Zone = Annotated[str, _read(zone_of, str, "a time zone is a text like Europe/Berlin")]
Model = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,200}$")]


class StatedScope(BaseModel):
    """Whose calls are counted; `*` counts each value apart."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(default_factory=str)
    team: str = Field(default_factory=str)
    model: str = Field(default_factory=str)
    session: str = Field(default_factory=str)
    end_user: str = Field(default_factory=str)
    target: str = Field(default_factory=str)
    provider: str = Field(default_factory=str)
    tag: list[str] = Field(default_factory=list)
    """`NAME=VALUE` each."""


class StatedRaise(BaseModel):
    """More money for a while."""

    model_config = ConfigDict(extra="forbid")

    usd: Amount
    until: Instant


class BudgetChange(BaseModel):
    """Only the fields that are sent change. An unknown field is an error; so are another window, zone and scope."""

    model_config = ConfigDict(extra="forbid")

    limit_usd: Amount = Field(default_factory=int)
    window: Window = Field(default_factory=lambda: Window.MONTH)
    timezone: Zone = Field(default_factory=lambda: "UTC")
    mode: Mode = Field(default_factory=lambda: Mode.HARD)
    scope: StatedScope = Field(default_factory=StatedScope)
    alert_at: Annotated[list[StrictInt], Field(max_length=100)] = Field(default_factory=list)
    """Percentages of the limit, going up."""
    on_exhausted: Exhausted = Field(default_factory=lambda: Exhausted.REFUSE)
    downgrade_to: Model | None = None
    unpriced: Literal["refuse", "allow"] = Field(default_factory=lambda: "refuse")
    raised: StatedRaise | None = None


class NewBudget(BudgetChange):
    """What is not sent has its default: hard, by the month, UTC, every call."""

    name: Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
    limit_usd: Amount


class FiguresView(BaseModel):
    """Of the window that is now; null for a budget that has not begun to count."""

    spent_usd: str | None
    reserve_usd: str | None
    held_usd: str | None
    remaining_usd: str | None
    over_usd: str | None
    over_because: list[Over] | None
    """Why something is over; empty if nothing is."""


class RaiseView(BaseModel):
    usd: str
    until: str


class LoweredView(BaseModel):
    rule: str
    action_id: str


class BudgetView(FiguresView):
    name: str
    limit_usd: str
    resets_at: str | None
    mode: Mode
    scope: dict[str, str | list[str]]
    source: str
    window: Window
    timezone: str
    alert_at: list[int]
    on_exhausted: Exhausted
    downgrade_to: str | None
    unpriced: str
    raised: RaiseView | None
    lowered_to_usd: str | None
    """By an alert rule, see `/admin/alerts/actions`."""
    lowered_by: LoweredView | None
    """That rule, and the action that ends when it is undone."""


class SubjectView(FiguresView):
    subject: str


class BudgetAlone(BudgetView):
    subjects: list[SubjectView] | None
    """Those that it counts apart, the dearest first; null if it counts none apart."""
    subject_count: int | None


class BudgetPage(BaseModel):
    items: list[BudgetView]
    next: str | None


@router.post("", status_code=201)
async def create_budget(body: NewBudget, services: Given, response: Response) -> BudgetView:
    """Make a budget. It begins with what the calls of its window have cost already."""
    desk = services.budgets
    if body.name in desk.places:
        refuse_taken(f"a budget {body.name}")
    now_us = services.clock.now_us()
    budget = new_budget(body.name, _terms(body, now_us), desk.models, now_us)
    await desk.repository.add(budget, ACTOR)
    await put_in_force(desk.store)
    response.headers["location"] = f"/admin/budgets/{budget.name}"
    return (await _views(services, [budget]))[0]


@router.get("")
async def list_budgets(
    services: Given,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> BudgetPage:
    """The budgets of the settings file first, then the others, newest first."""
    desk = services.budgets
    start = place_in_file(cursor)
    declared = [] if start is None else list(desk.declared[start : start + limit])
    if start is not None and len(declared) == limit:
        return BudgetPage(items=await _views(services, declared), next=cursor_in_file(start + limit))
    page = await desk.repository.page(limit - len(declared), cursor if start is None else None)
    stored = [budget for budget in page.items if budget.name not in desk.places]
    return BudgetPage(items=await _views(services, [*declared, *stored]), next=page.next)


@router.get("/{name}")
async def show_budget(name: str, services: Given) -> BudgetAlone:
    """One budget; with the dearest of those that it counts apart."""
    desk = services.budgets
    declared = next((one for one in desk.declared if one.name == name), None)
    budget = declared or await desk.repository.get(name)
    if budget is None:
        raise Fault(Kind.NOT_FOUND, f"there is no budget {name}")
    (standing,) = await desk.standings.of([budget])
    subjects = await desk.standings.subjects(budget, _SUBJECTS) if budget.scope.counted else []
    return BudgetAlone(**budget_facts(standing, services.clock.now_us()), **subject_facts(standing, subjects))


@router.patch("/{name}")
async def change_budget(name: str, body: BudgetChange, services: Given) -> BudgetView:
    """Change what is sent; a model to downgrade to, or a raise, that is set to null is cleared."""
    desk = services.budgets
    if name in desk.places:
        refuse_declared(f"the budget {name}", desk.places[name])
    budget = await desk.repository.get(name)
    if budget is None:
        raise Fault(Kind.NOT_FOUND, f"there is no budget {name}")
    changes = changes_to(budget, _terms(body, services.clock.now_us()), desk.models)
    if changes:
        budget = await desk.repository.update(name, changes, ACTOR)
        await put_in_force(desk.store)
    return (await _views(services, [budget]))[0]


@router.delete("/{name}")
async def remove_budget(name: str, services: Given) -> BudgetView:
    """End a budget, and forget what it has counted; the answer shows it as it was."""
    desk = services.budgets
    if name in desk.places:
        refuse_declared(f"the budget {name}", desk.places[name])
    budget = await desk.repository.get(name)
    last = await _views(services, [] if budget is None else [budget])
    await desk.repository.remove(name, ACTOR)
    await put_in_force(desk.store)
    return last[0]


def _terms(body: BudgetChange, now_us: int) -> dict[str, Any]:
    """What was sent, in the words and types of the core."""
    terms = {_FIELDS.get(field, field): getattr(body, field) for field in body.model_fields_set - {"name"}}
    if "unpriced_allowed" in terms:
        terms["unpriced_allowed"] = body.unpriced == "allow"
    if "alert_at" in terms:
        terms["alert_at"] = percentages_of(body.alert_at)
    if "scope" in terms:
        terms["scope"] = scope_from(body.scope.model_dump(exclude_unset=True))
    if body.raised is not None:
        terms["raised"] = coming_raise(body.raised.usd, body.raised.until, now_us)
    return terms


async def _views(services: Services, budgets: Sequence[Budget]) -> list[BudgetView]:
    found: list[BudgetStanding] = await services.budgets.standings.of(budgets)
    return [BudgetView(**budget_facts(standing, services.clock.now_us())) for standing in found]
