"""`/admin/alerts`: what happened, who sees to it, what rules did, where it is told, and what became of the telling.

Channels come from the settings file and cannot be changed here.
"""

import logging
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel

from gateway.control.alerts_shown import action_facts, alert_facts, channel_facts, delivery_facts
from gateway.control.alerts_trial import try_channel
from gateway.control.declared import put_in_force
from gateway.control.dependencies import ACTOR, Given, Json, Services, refuse_strange
from gateway.core.actions import Stage, advice_of
from gateway.core.alerts.event import Alert
from gateway.core.errors import Fault, Kind
from gateway.storage.deliveries import Delivery

logger = logging.getLogger(__name__)
router = APIRouter(prefix="/admin/alerts", tags=["alerts"], dependencies=[Depends(refuse_strange)])

Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=100)]


class AlertList(BaseModel):
    items: list[dict[str, Any]]
    next: str | None


@router.get("", response_model=AlertList)
async def list_alerts(services: Given, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """The newest first, resolved ones too."""
    page = await services.alerts.repository.page(limit, cursor)
    return Json({"items": [_shown(services, alert) for alert in page.items], "next": page.next})


@router.get("/channels", response_model=AlertList)
async def list_channels(services: Given) -> Response:
    """Every channel, and whether its receiver has asked for no more."""
    declared = services.alerts.channels
    disabled = await services.alerts.outbox.disabled([one.channel for one in declared.values()])
    items = [channel_facts(one, disabled.get(name)) for name, one in declared.items()]
    return Json({"items": items, "next": None})


@router.post("/channels/{name}/test")
async def try_one(name: str, services: Given) -> Response:
    """Send a message at once, also to a channel that is disabled: one that arrives enables it. `state` says whether
    it was delivered."""
    declared = services.alerts.channels.get(name)
    if declared is None:
        known = ", ".join(services.alerts.channels) or "none"
        raise Fault(Kind.NOT_FOUND, f"there is no channel {name}", hint=f"`alerts.channels` names {known}")
    desk = services.alerts
    delivery = await try_channel(declared.channel, desk.outbox, desk.base, services.clock.now_us, desk.owner)
    return Json(await _with_tries(services, delivery))


@router.get("/deliveries", response_model=AlertList)
async def list_deliveries(services: Given, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """The newest first, with every try of each."""
    outbox = services.alerts.outbox
    page = await outbox.page(limit, cursor)
    tries = await outbox.tries([one.id for one in page.items])
    return Json({"items": [delivery_facts(one, tries[one.id]) for one in page.items], "next": page.next})


@router.post("/deliveries/{id}/redeliver")
async def redeliver(id: str, services: Given) -> Response:
    """Send it again, or now if it waits, under the same `webhook-id`."""
    return Json(await _with_tries(services, await services.alerts.outbox.redeliver(id, ACTOR)))


@router.get("/rules")
async def list_rules(services: Given) -> Response:
    """What is watched for: the rules of the settings file, which are read only."""
    return Json({"items": list(services.alerts.rules), "next": None})


@router.get("/actions", response_model=AlertList)
async def list_actions(services: Given, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """What rules have done, the newest first, with what people have decided about it."""
    page = await services.alerts.actions.page(limit, cursor)
    return Json({"items": [action_facts(action) for action in page.items], "next": page.next})


@router.post("/actions/{id}/confirm")
async def confirm(id: str, services: Given) -> Response:
    """Have it done: it waits to be confirmed. Safe to repeat; a conflict where the same is in force already."""
    return await _decided(id, Stage.IN_FORCE, services)


@router.post("/actions/{id}/decline")
async def decline(id: str, services: Given) -> Response:
    """Have it not done: it waits to be confirmed. Safe to repeat."""
    return await _decided(id, Stage.DECLINED, services)


@router.post("/actions/{id}/undo")
async def undo(id: str, services: Given) -> Response:
    """End what is in force. Safe to repeat."""
    return await _decided(id, Stage.UNDONE, services)


@router.get("/{id}")
async def show_alert(id: str, services: Given) -> Response:
    """One alert."""
    alert = await services.alerts.repository.get(id)
    if alert is None:
        raise Fault(Kind.NOT_FOUND, f"there is no alert {id}")
    return Json(_shown(services, alert))


@router.post("/{id}/acknowledge")
async def acknowledge(id: str, services: Given) -> Response:
    """Say that somebody sees to it; its channels are told. Safe to repeat."""
    return Json(_shown(services, await services.alerts.repository.acknowledge(id, ACTOR)))


@router.post("/{id}/resolve")
async def resolve(id: str, services: Given) -> Response:
    """Say that it is over; its channels are told. Safe to repeat."""
    return Json(_shown(services, await services.alerts.repository.resolve(id, ACTOR)))


def _shown(services: Services, alert: Alert) -> dict[str, Any]:
    return alert_facts(alert, services.alerts.base)


async def _decided(id: str, stage: Stage, services: Services) -> Response:
    action = await services.alerts.actions.decide(id, stage, ACTOR)
    logger.info("%s has decided what the rule %s does: %s", ACTOR, action.rule, advice_of(action))
    await put_in_force(services.alerts.acting, services.budgets.store)
    return Json(action_facts(action))


async def _with_tries(services: Services, delivery: Delivery) -> dict[str, Any]:
    tries = await services.alerts.outbox.tries([delivery.id])
    return delivery_facts(delivery, tries[delivery.id])
