"""`/admin/calls`: single calls as the ledger keeps them, newest first."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.control import times
from gateway.control.dependencies import Filter, Given, Json, refuse_strange
from gateway.core.calls import End
from gateway.storage.reports import CallFilter

router = APIRouter(prefix="/admin/calls", tags=["calls"], dependencies=[Depends(refuse_strange)])


class CallsQuery(BaseModel):
    """An unknown parameter is an error: a mistyped filter would show everything."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=1000)
    cursor: str | None = Field(None, max_length=100)
    key: Filter | None = None
    team: Filter | None = None
    model: Filter | None = None
    target: Filter | None = None
    provider: Filter | None = None
    end: End | None = None
    session: Filter | None = None
    status: int | None = Field(None, ge=100, le=599)
    since: str | None = None
    until: str | None = None


class TimingsView(BaseModel):
    """Milliseconds at the gateway."""

    overhead_ms: float | None
    connect_ms: float | None
    ttft_ms: float | None
    first_reasoning_ms: float | None
    duration_ms: float | None
    itl_p50_ms: float | None
    itl_p95_ms: float | None
    itl_max_ms: float | None
    output_tokens_per_second: float | None


class CallView(BaseModel):
    """A call; unknown is null, money is a decimal text in USD."""

    id: str
    started_at: str
    path: str
    key: str | None
    key_id: str | None
    team: str | None
    labels: dict[str, str]
    session: str | None
    end_user: str | None
    model: str | None
    target: str | None
    provider: str | None
    stream: bool
    end: End
    status: int | None
    error: str | None
    cache: str
    usage: dict[str, int | None]
    usage_basis: str
    cost_usd: str | None
    cost_at_least_usd: str | None
    avoided_usd: str | None
    reserve_usd: str | None
    held_usd: str | None
    price_book: str | None
    limit_lowered_to: int | None
    downgraded_from: str | None
    timings: TimingsView


class AttemptView(BaseModel):
    """One try at one target."""

    target: str
    end: End
    status: int | None
    error: str | None
    started_at: str
    duration_ms: float | None
    usage: dict[str, int | None]
    usage_basis: str
    tokenizer: str | None
    raw_usage: Any
    """The provider's own usage object, as it came."""
    cost_usd: str | None
    cost_at_least_usd: str | None
    provider_cost_usd: str | None
    """What the provider says it cost, beside ours."""
    unpriced_because: str | None
    price_book: str | None
    upstream_request_id: str | None


class ChargeView(BaseModel):
    """Quantity times unit price of one bucket of one attempt."""

    attempt: int
    bucket: str
    quantity: int
    usd_per_million: str
    amount_usd: str


class CallAlone(CallView):
    attempts: list[AttemptView]
    charges: list[ChargeView]


class CallPage(BaseModel):
    items: list[CallView]
    next: str | None


@router.get("", response_model=CallPage)
async def list_calls(query: Annotated[CallsQuery, Query()], services: Given) -> Response:
    """Calls, newest first."""
    now_us = services.clock.now_us()
    wanted = CallFilter(
        key=query.key,
        team=query.team,
        model=query.model,
        target=query.target,
        provider=query.provider,
        end=query.end,
        session=query.session,
        status=query.status,
        since_us=None if query.since is None else times.past_us(query.since, "since", now_us),
        until_us=None if query.until is None else times.past_us(query.until, "until", now_us),
    )
    page = await services.reports.calls(wanted, query.limit, query.cursor)
    return Json({"items": [call.as_json(alone=False) for call in page.items], "next": page.next})


@router.get("/{id}", response_model=CallAlone)
async def show_call(id: str, services: Given) -> Response:
    """One call with its attempts and charges."""
    call = await services.reports.call(id)
    if call is None:
        raise await services.reports.absent(id)
    return Json(call.as_json(alone=True))
