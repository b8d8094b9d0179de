"""`GET /admin/usage`: what was used and spent, summed by the ledger. Adds nothing up itself."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict

from gateway.control import times
from gateway.control.dependencies import Filter, Given, Json, refuse_strange
from gateway.core.calls import End
from gateway.core.errors import Fault, Kind

router = APIRouter(prefix="/admin/usage", tags=["usage"], dependencies=[Depends(refuse_strange)])

Dimension = Literal["key", "team", "model", "target", "provider", "path", "end"]
DIMENSIONS: tuple[Dimension, ...] = ("key", "team", "model", "target", "provider", "path", "end")

DEFAULT_DAYS = 30
MAX_INTERVALS = 10_000
_LENGTH_US = {"hour": times.DAY_US // 24, "day": times.DAY_US, "month": 28 * times.DAY_US}


class UsageQuery(BaseModel):
    """An unknown parameter is an error: a mistyped filter would return a total of something else."""

    model_config = ConfigDict(extra="forbid")

    group_by: str = ""
    """Dimensions, separated by commas."""
    since: str | None = None
    until: str | None = None
    interval: Literal["hour", "day", "month"] | None = None
    key: Filter | None = None
    team: Filter | None = None
    model: Filter | None = None
    target: Filter | None = None
    provider: Filter | None = None
    path: Filter | None = None
    end: End | None = None


class Quantiles(BaseModel):
    p50: float | None
    p95: float | None
    p99: float | None


class UsageSums(BaseModel):
    """The figures of a row and of the totals."""

    calls: int
    attempts: int
    errors: int
    usage: dict[str, int | None]
    cost_usd: str | None
    avoided_usd: str | None
    reserve_usd: str | None
    unpriced_calls: int
    estimated_calls: int
    ttft_ms: Quantiles
    itl_ms: Quantiles
    duration_ms: Quantiles
    output_tokens_per_second: float | None


class UsageRow(UsageSums):
    """One group in one interval; the dimensions that were asked for are fields too."""

    model_config = ConfigDict(extra="allow")

    start: str | None = None


class UsageAnswer(BaseModel):
    rows: list[UsageRow]
    totals: UsageSums
    whole_hours_before: str | None = None
    """There if the period cuts an hour whose calls were deleted: before this time hours count whole."""


@router.get("", response_model=UsageAnswer)
async def show_usage(query: Annotated[UsageQuery, Query()], services: Given) -> Response:
    """Sums by the dimensions and the interval asked for; the last 30 days unless a period is given."""
    now_us = services.clock.now_us()
    until_us = now_us if query.until is None else times.past_us(query.until, "until", now_us)
    since_us = (
        until_us - DEFAULT_DAYS * times.DAY_US if query.since is None else times.past_us(query.since, "since", now_us)
    )
    _require_sane(since_us, until_us, query.interval)
    where: dict[str, str] = {name: str(value) for name in DIMENSIONS if (value := getattr(query, name)) is not None}
    report = await services.reports.usage(_dimensions(query.group_by), since_us, until_us, query.interval, where)
    return Json(report.as_json())


def _dimensions(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")] if text.strip() else []
    for name in names:
        if name not in DIMENSIONS:
            hint = f"these can be: {', '.join(DIMENSIONS)}"
            raise Fault(Kind.INVALID, f"usage cannot be grouped by {name!r}", hint=hint, param="group_by")
    return list(dict.fromkeys(names))


def _require_sane(since_us: int, until_us: int, interval: str | None) -> None:
    if since_us >= until_us:
        raise Fault(Kind.INVALID, "the period ends before it starts", param="since")
    if interval and (until_us - since_us) // _LENGTH_US[interval] > MAX_INTERVALS:
        hint = "take a longer interval or a shorter period"
        message = f"the period has more than {MAX_INTERVALS} intervals of one {interval}"
        raise Fault(Kind.INVALID, message, hint=hint, param="interval")
