"""`/admin/limits`: requests and tokens a minute, and calls at once.

Limits of the settings file are shown beside the others and cannot be changed here; of one name the file's holds.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from gateway.control.budget_terms import NAME, scope_from
from gateway.control.declared import cursor_in_file, place_in_file, put_in_force, refuse_declared, refuse_taken
from gateway.control.dependencies import ACTOR, Given, refuse_strange
from gateway.control.key_terms import InFlight, Rpm, Tpm
from gateway.core.errors import Fault, Kind
from gateway.core.limits import Limit
from gateway.storage.limits import limits_something

router = APIRouter(prefix="/admin/limits", tags=["limits"], dependencies=[Depends(refuse_strange)])


class LimitedScope(BaseModel):
    """Whose calls are counted; `*` counts each value apart. Whom a call will be sent to is not known yet."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(default_factory=str)
    team: str = Field(default_factory=str)
    model: str = Field(default_factory=str)
    session: str = Field(default_factory=str)
    end_user: str = Field(default_factory=str)
    tag: list[str] = Field(default_factory=list)
    """`NAME=VALUE` each."""


class LimitChange(BaseModel):
    """Only the fields that are sent change; null: no limit of that kind. A scope does not change."""

    model_config = ConfigDict(extra="forbid")

    rpm: Rpm | None = None
    tpm: Tpm | None = None
    in_flight: InFlight | None = None


class NewLimit(LimitChange):
    """What is not sent is not limited; without a scope it counts every call."""

    name: Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
    scope: LimitedScope = Field(default_factory=LimitedScope)


class LimitView(BaseModel):
    name: str
    scope: dict[str, str | list[str]]
    rpm: int | None
    tpm: int | None
    in_flight: int | None
    source: str


class LimitPage(BaseModel):
    items: list[LimitView]
    next: str | None


@router.post("", status_code=201)
async def create_limit(body: NewLimit, services: Given, response: Response) -> LimitView:
    """Make a limit. It counts from now on."""
    desk = services.limits
    if body.name in desk.places:
        refuse_taken(f"a limit {body.name}")
    scope = scope_from(body.scope.model_dump(exclude_unset=True))
    limit = Limit(body.name, scope, body.rpm, body.tpm, body.in_flight)
    if not limits_something(limit):
        raise Fault(Kind.INVALID, f"the limit {body.name} limits nothing", hint="state rpm, tpm or in_flight")
    await desk.repository.add(limit, ACTOR)
    await put_in_force(desk.store)
    response.headers["location"] = f"/admin/limits/{limit.name}"
    return _view(limit)


@router.get("")
async def list_limits(
    services: Given,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> LimitPage:
    """The limits of the settings file first, then the others, newest first."""
    desk = services.limits
    start = place_in_file(cursor)
    declared = [] if start is None else list(desk.declared[start : start + limit])
    if start is not None and len(declared) == limit:
        return LimitPage(items=[_view(one) for one in declared], next=cursor_in_file(start + limit))
    page = await desk.repository.page(limit - len(declared), cursor if start is None else None)
    stored = [one for one in page.items if one.name not in desk.places]
    return LimitPage(items=[_view(one) for one in [*declared, *stored]], next=page.next)


@router.get("/{name}")
async def show_limit(name: str, services: Given) -> LimitView:
    """One limit."""
    desk = services.limits
    declared = next((one for one in desk.declared if one.name == name), None)
    found = declared or await desk.repository.get(name)
    if found is None:
        raise Fault(Kind.NOT_FOUND, f"there is no limit {name}", hint="GET /admin/limits names them")
    return _view(found)


@router.patch("/{name}")
async def change_limit(name: str, body: LimitChange, services: Given) -> LimitView:
    """Change what is sent; what is set to null is limited no more, and something must be left."""
    desk = services.limits
    if name in desk.places:
        refuse_declared(f"the limit {name}", desk.places[name])
    if not body.model_fields_set:
        return await show_limit(name, services)
    changed = await desk.repository.update(name, body.model_dump(exclude_unset=True), ACTOR)
    await put_in_force(desk.store)
    return _view(changed)


@router.delete("/{name}")
async def remove_limit(name: str, services: Given) -> LimitView:
    """End a limit; the answer shows it as it was."""
    desk = services.limits
    if name in desk.places:
        refuse_declared(f"the limit {name}", desk.places[name])
    last = await desk.repository.remove(name, ACTOR)
    await put_in_force(desk.store)
    return _view(last)


def _view(limit: Limit) -> LimitView:
    return LimitView(
        name=limit.name,
        scope=limit.scope.as_dict(),
        rpm=limit.rpm,
        tpm=limit.tpm,
        in_flight=limit.in_flight,
        source=limit.source,
    )
