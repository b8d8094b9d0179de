"""`/admin/prices`: what targets cost, and prices set by hand, each with the moment from which on it holds.

Prices of the settings file are shown beside the others and cannot be changed here.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, StrictStr, WithJsonSchema
from starlette.exceptions import HTTPException

from gateway.control import times
from gateway.control.declared import put_in_force, refuse_declared
from gateway.control.dependencies import ACTOR, Filter, Given, Json, PriceDesk, refuse_strange
from gateway.control.prices_shown import price_facts, stored_facts
from gateway.core.errors import Fault, Kind
from gateway.core.money import usd
from gateway.core.pricing import FilePrice, resolved
from gateway.core.routing import Target

router = APIRouter(prefix="/admin/prices", tags=["prices"], dependencies=[Depends(refuse_strange)])

_MOST = Decimal(10) ** 9


def _amount(value: object) -> Decimal:
    """Money as text, so that no float comes between."""
    if not isinstance(value, str):
        raise ValueError('money is a text like "2.50"')
    try:
        amount = usd(value)
    except Fault as fault:
        raise ValueError(fault.sentence) from None
    if not 0 <= amount <= _MOST:
        raise ValueError(f"an amount is from 0 to {_MOST} USD")
    return amount


Amount = Annotated[Decimal, BeforeValidator(_amount), WithJsonSchema({"type": "string", "examples": ["2.50"]})]


class NewPrice(BaseModel):
    """Exactly one of amounts, `free` and `like`."""

    model_config = ConfigDict(extra="forbid")

    usd_per_million: dict[str, Amount] | None = None
    """USD per million units by bucket."""
    usd_per_call: Amount | None = None
    free: bool = False
    like: StrictStr | None = None
    """The kind of provider whose price for the same model holds."""
    since: StrictStr | None = None
    """From when on it holds, RFC 3339; null: from now on."""
    force: bool = False
    """Take it though it can hardly be meant: far from what the same model costs elsewhere, or nothing to borrow."""


class PriceList(BaseModel):
    items: list[dict[str, Any]]
    next: str | None
    price_book: str


class PriceHistory(BaseModel):
    items: list[dict[str, Any]]
    next: None = None


@router.get("", response_model=PriceList)
async def list_prices(
    services: Given,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Annotated[str | None, Query(max_length=400)] = None,
    provider: Filter | None = None,
) -> Response:
    """By name: what prices were stated or set for, what aliases lead to, what the book knows at home."""
    desk = services.prices
    names = sorted(name for name in set(_names(desk)) if provider is None or name.partition("/")[0] == provider)
    names = [name for name in names if cursor is None or name > cursor]
    shown = names[:limit]
    items = [price_facts(desk.book, _target(desk, name)) for name in shown]
    return Json({"items": items, "next": shown[-1] if len(names) > limit else None, "price_book": desk.book.version})


@router.get("/{target:path}/history")
async def show_history(target: str, services: Given) -> PriceHistory:
    """What was ever set for a target, the newest first."""
    _target(services.prices, target)
    return PriceHistory(items=[stored_facts(one) for one in await services.prices.repository.history(target)])


@router.api_route("/{name:path}/history", methods=["POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
async def refuse_change(name: str) -> None:
    """A history is read only; without this the path would be that of a target whose name ends so."""
    raise HTTPException(405)


@router.get("/{target:path}")
async def show_price(target: str, services: Given) -> Response:
    """What one target costs now."""
    return Json(price_facts(services.prices.book, _target(services.prices, target)))


@router.put("/{target:path}")
async def set_price(target: str, body: NewPrice, services: Given) -> Response:
    """Set a price, from now or from another moment on; what held before stays in the history."""
    desk = services.prices
    if target in desk.places:
        refuse_declared(f"the price of {target}", desk.places[target])
    _target(desk, target)
    entry = FilePrice(target, body.usd_per_million, body.usd_per_call, body.free, body.like)
    resolved(entry, "", desk.book.known)
    doubt = None if body.force else desk.doubt(entry)
    if doubt is not None:
        hint = f"{doubt.advice}, or send `force: true` if it is meant"
        raise Fault(Kind.INVALID, doubt.sentence, hint=hint, param=doubt.param)
    now_us = services.clock.now_us()
    since_us = now_us if body.since is None else times.instant_us(body.since, "since")
    stored = await desk.repository.set(target, entry, since_us, ACTOR)
    await put_in_force(services.prices.store)
    return Json(stored_facts(stored))


@router.delete("/{target:path}")
async def take_back(target: str, services: Given) -> Response:
    """Take back what was set; whatever else is known holds again."""
    desk = services.prices
    if target in desk.places:
        refuse_declared(f"the price of {target}", desk.places[target])
    history = await desk.repository.history(target)
    if not history or history[0].entry is None:
        raise Fault(Kind.NOT_FOUND, f"no price is set for {target}")
    stored = await desk.repository.set(target, None, services.clock.now_us(), ACTOR)
    await put_in_force(services.prices.store)
    return Json(stored_facts(stored))


def _names(desk: PriceDesk) -> Iterator[str]:
    yield from desk.book.patterns()
    yield from desk.aliased
    for provider in desk.providers.values():
        if provider.at_home:
            yield from (f"{provider.name}/{model}" for model in desk.book.models(provider.kind))


def _target(desk: PriceDesk, name: str) -> Target:
    """Raises `Fault` (not found) unless its provider is configured."""
    provider, slash, model = name.partition("/")
    found = desk.providers.get(provider)
    if found is None or not slash or not model:
        hint = f"PROVIDER/MODEL with one of the providers {', '.join(desk.providers)}"
        raise Fault(Kind.NOT_FOUND, f"{name!r} is no target of a configured provider", hint=hint)
    return Target(found, model)
