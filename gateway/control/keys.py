"""`/admin/keys`: virtual keys, from the making of the secret to its end.

The secret leaves in the answer that made it and is nowhere afterwards. Keys of the settings file are shown beside the
others and cannot be changed here.
"""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from gateway.control import times
from gateway.control.declared import (
    Store,
    cursor_in_file,
    place_in_file,
    put_in_force,
    refuse_declared,
    refuse_taken,
)
from gateway.control.dependencies import ACTOR, DeclaredKey, Given, Services, refuse_strange
from gateway.control.key_terms import InFlight, MaxCost, Rpm, Tpm, own_terms, stated_budget
from gateway.control.keys_shown import key_facts
from gateway.control.minting import new_key, new_secret, shown_prefix
from gateway.core.errors import Fault, Kind
from gateway.core.keys import Key, Secret, digest
from gateway.core.windows import Window
from gateway.storage.key_terms import NO_TERMS, OwnTerms, terms_by_key
from gateway.storage.limits import RATES

router = APIRouter(prefix="/admin/keys", tags=["keys"], dependencies=[Depends(refuse_strange)])

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$")]
"""Up to 64 letters, digits, `.`, `_` and `-`, the first and the last a letter or digit."""
AllowedModel = Annotated[str, StringConstraints(pattern=r"^[!-)+-~]{0,199}[!-~]$")]
"""A model name; a `*` at its end stands for anything."""
Labels = Annotated[dict[Name, Annotated[str, StringConstraints(min_length=1, max_length=256)]], Field(max_length=32)]


def _instant(value: object) -> object:
    """A time in RFC 3339, as microseconds."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("a time is a text like 2026-10-31T08:00:00Z")
    try:
        return times.instant_us(value, "expires_at")
    except Fault as fault:
        raise ValueError(fault.sentence) from None


Instant = Annotated[int, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]


def _own_budget(value: object) -> object:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("a budget is a text like 5.00/month")
    try:
        return stated_budget(value)
    except Fault as fault:
        raise ValueError(fault.sentence) from None


OwnBudget = Annotated[
    tuple[int, Window],
    BeforeValidator(_own_budget),
    WithJsonSchema({"type": "string", "examples": ["5.00/month"]}),
]


class _Body(BaseModel):
    """What a client may set. An unknown field is an error."""

    model_config = ConfigDict(extra="forbid")

    team: Name | None = None
    models: Annotated[list[AllowedModel], Field(min_length=1, max_length=200)] | None = None
    """Null: all models."""
    expires_at: Instant | None = None
    labels: Labels = Field(default_factory=dict)
    required_labels: Annotated[list[Name], Field(max_length=32)] = Field(default_factory=list)
    """What each of its calls has to carry; `session` and `end_user` can be among them."""
    max_cost_usd: MaxCost | None = None
    """The most that one call of it may cost."""
    rpm: Rpm | None = None
    tpm: Tpm | None = None
    in_flight: InFlight | None = None


class NewKey(_Body):
    name: Name
    budget: OwnBudget | None = None
    """A hard budget in UTC, of this key alone: `key:NAME` under `/admin/budgets`, where it can be changed."""


class KeyChange(_Body):
    """Only the fields that are sent change; null clears one."""

    name: Name = Field(default="")


class Rotation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    grace: Annotated[str, StringConstraints(pattern=f"^{times.DURATION}$")] | None = None
    """How long the old secret stays good, `24h`; null: it ends at once."""


class KeyView(BaseModel):
    """A key as everybody may see it."""

    id: str
    name: str
    prefix: str
    team: str | None
    models: list[str] | None
    labels: dict[str, str]
    required_labels: list[str]
    max_cost_usd: str | None
    budget: str | None
    rpm: int | None
    tpm: int | None
    in_flight: int | None
    frozen: str | None
    """Why it is refused, if an alert rule has frozen it."""
    created_at: str | None
    expires_at: str | None
    revoked_at: str | None
    old_secret_until: str | None
    source: str


class KeyWithSecret(KeyView):
    key: str
    """The secret, shown this once."""


class KeyPage(BaseModel):
    items: list[KeyView]
    next: str | None


@router.post("", status_code=201)
async def create_key(body: NewKey, services: Given, response: Response) -> KeyWithSecret:
    """Make a key. Its secret is in this answer and nowhere else."""
    now_us = services.clock.now_us()
    _refuse_declared_name(services, body.name)
    secret = new_secret()
    key = new_key(
        secret,
        body.name,
        now_us,
        team=body.team,
        models=None if body.models is None else tuple(body.models),
        labels=body.labels,
        expires_us=_coming(body.expires_at, now_us),
        max_cost_nano=body.max_cost_usd,
        required_labels=body.required_labels,
    )
    terms = own_terms(key.name, now_us, rpm=body.rpm, tpm=body.tpm, in_flight=body.in_flight, budget=body.budget)
    await services.keys.add(key, ACTOR, terms)
    await put_in_force(*_binding(services))
    response.headers["location"] = f"/admin/keys/{key.id}"
    return await _with_secret(services, key, secret, terms)


@router.get("")
async def list_keys(
    services: Given,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> KeyPage:
    """The keys of the settings file first, then the others, newest first; revoked ones too."""
    start = place_in_file(cursor)
    if start is None:
        page = await services.keys.page(limit, cursor)
        return KeyPage(items=await _views(services, page.items), next=page.next)
    declared = [one.key for one in services.declared_keys[start : start + limit]]
    if len(declared) == limit:
        return KeyPage(items=await _views(services, declared), next=cursor_in_file(start + limit))
    page = await services.keys.page(limit - len(declared), None)
    return KeyPage(items=await _views(services, [*declared, *page.items]), next=page.next)


@router.get("/{id}")
async def show_key(id: str, services: Given) -> KeyView:
    """One key, by id or name."""
    declared = _declared(services, id)
    key = declared.key if declared else await services.keys.get(id)
    if key is None:
        raise Fault(Kind.NOT_FOUND, f"there is no key {id}")
    return (await _views(services, [key]))[0]


@router.patch("/{id}")
async def change_key(id: str, body: KeyChange, services: Given) -> KeyView:
    """Change what is sent; a field set to null is cleared."""
    _refuse_declared(services, id)
    rates: dict[str, int | None] = {rate: getattr(body, rate) for rate in body.model_fields_set & set(RATES)}
    changes: dict[str, object] = {field: getattr(body, field) for field in body.model_fields_set - set(RATES)}
    if "models" in changes:
        changes["models"] = None if body.models is None else tuple(body.models)
    if "required_labels" in changes:
        changes["required_labels"] = tuple(body.required_labels)
    if "max_cost_usd" in changes:
        changes["max_cost_nano"] = changes.pop("max_cost_usd")
    if "expires_at" in changes:
        del changes["expires_at"]
        changes["expires_us"] = _coming(body.expires_at, services.clock.now_us())
    if "name" in changes:
        _refuse_declared_name(services, body.name)
    if not body.model_fields_set:
        return await show_key(id, services)
    key = await services.keys.update(id, changes, ACTOR, rates)
    await put_in_force(*_binding(services))
    return (await _views(services, [key]))[0]


@router.delete("/{id}")
async def revoke_key(id: str, services: Given) -> KeyView:
    """End a key for good, with its own limit and budget. It stays in the list with `revoked_at`; revoking it again
    changes nothing."""
    _refuse_declared(services, id)
    key = await services.keys.revoke(id, services.clock.now_us(), ACTOR)
    await put_in_force(*_binding(services))
    return (await _views(services, [key]))[0]


@router.post("/{id}/rotate")
async def rotate_key(id: str, services: Given, body: Rotation | None = None) -> KeyWithSecret:
    """Give a key another secret, shown in this answer; the old one ends at once, or after `grace`."""
    _refuse_declared(services, id)
    grace = body.grace if body else None
    until_us = None if grace is None else services.clock.now_us() + times.duration_us(grace, "grace")
    secret = new_secret()
    key = await services.keys.rotate(id, digest(secret.reveal()), shown_prefix(secret), until_us, ACTOR)
    await put_in_force(*_binding(services))
    return await _with_secret(services, key, secret)


def _binding(services: Services) -> Sequence[Store]:
    """What binds a key before the key itself."""
    return services.budgets.store, services.limits.store, services.ring


def _coming(at_us: int | None, now_us: int) -> int | None:
    if at_us is not None and at_us <= now_us:
        hint = "to end a key now, DELETE it"
        raise Fault(Kind.INVALID, "`expires_at` has passed already", hint=hint, param="expires_at")
    return at_us


def _declared(services: Services, id_or_name: str) -> DeclaredKey | None:
    return next((one for one in services.declared_keys if id_or_name in (one.key.id, one.key.name)), None)


def _refuse_declared(services: Services, id_or_name: str) -> None:
    declared = _declared(services, id_or_name)
    if declared is not None:
        refuse_declared(f"the key {declared.key.name}", declared.place)


def _refuse_declared_name(services: Services, name: str) -> None:
    if any(name == one.key.name for one in services.declared_keys):
        refuse_taken(f"a key {name}")


async def _views(services: Services, keys: Sequence[Key]) -> list[KeyView]:
    """With what binds each of them alone, read back from where it holds."""
    declared = [key.name for key in keys if key.source == "file"]
    frozen = services.alerts.acting.in_force.frozen
    of_file = terms_by_key(declared, services.limits.declared, services.budgets.declared, frozen)
    stored = await services.keys.terms([key for key in keys if key.source != "file"])
    found = [of_file[key.name] if key.source == "file" else stored[key.id] for key in keys]
    return [KeyView(**key_facts(key, terms)) for key, terms in zip(keys, found, strict=True)]


async def _with_secret(services: Services, key: Key, secret: Secret, stated: OwnTerms = NO_TERMS) -> KeyWithSecret:
    try:
        terms = (await services.keys.terms([key]))[key.id]
    except Fault:
        # It is committed, and the secret must not be lost over this either.
        terms = stated
    return KeyWithSecret(**key_facts(key, terms), key=secret.reveal())
