"""Alerts, actions, deliveries and channels as the admin API and the command line write them; times in RFC 3339."""

import json
from collections.abc import Sequence
from typing import Any

from gateway.control import times
from gateway.control.alerts_desk import DeclaredChannel
from gateway.core.actions import Action, effect_of
from gateway.core.alerts.event import Alert, facts_of, link_to, title_of
from gateway.core.money import usd_text
from gateway.storage.deliveries import Delivery, Disabled, Try


def alert_facts(alert: Alert, base: str | None) -> dict[str, Any]:
    """The fields of an alert, in the order in which they are written; `base`: what links begin with."""
    return {
        "id": alert.id,
        "state": alert.state.value,
        "title": title_of(alert),
        "type": alert.kind,
        "severity": alert.severity.value,
        "rule": alert.rule,
        "subject": alert.subject,
        "window": alert.window,
        "because": alert.because or None,
        "facts": facts_of(alert),
        "raised_at": times.rfc3339(alert.raised_us),
        "acknowledged_at": times.rfc3339(alert.acknowledged_us),
        "resolved_at": times.rfc3339(alert.resolved_us),
        "link": link_to(base, alert.id),
    }


def action_facts(action: Action) -> dict[str, Any]:
    """The fields of an action, in the order in which they are written."""
    deed = action.deed
    return {
        "id": action.id,
        "state": action.stage.value,
        "action": deed.act.value,
        "subject": action.subject,
        "effect": effect_of(action),
        "lower_to_usd": usd_text(deed.limit_nano),
        "downgrade_to": deed.model,
        "asks": deed.asks,
        "rule": action.rule,
        "alert": action.alert,
        "made_at": times.rfc3339(action.made_us),
        "decided_at": times.rfc3339(action.decided_us),
        "decided_by": action.decided_by,
    }


def delivery_facts(delivery: Delivery, tries: Sequence[Try]) -> dict[str, Any]:
    """The fields of a delivery with every try of it."""
    event = json.loads(delivery.message.body)
    return {
        "id": delivery.id,
        "alert": delivery.alert,
        "channel": delivery.channel,
        "type": delivery.kind,
        "alert_state": None if delivery.alert is None else event["data"]["state"],
        "title": event["data"]["title"],
        "state": delivery.progress.value,
        "status": delivery.status,
        "error": delivery.error,
        "made_at": times.rfc3339(delivery.made_us),
        "next_try_at": times.rfc3339(delivery.next_us),
        "ended_at": times.rfc3339(delivery.ended_us),
        "tries": [
            {
                "began_at": times.rfc3339(one.began_us),
                "duration_ms": one.duration_us / 1000,
                "status": one.status,
                "error": one.error,
                "next_try_at": times.rfc3339(one.next_us),
            }
            for one in tries
        ],
    }


def channel_facts(declared: DeclaredChannel, disabled: Disabled | None) -> dict[str, Any]:
    """The fields of a channel; of its address only what is no secret."""
    channel = declared.channel
    return {
        "name": channel.name,
        "kind": channel.kind,
        "address": channel.address,
        "allow_private": declared.allow_private,
        "disabled_at": times.rfc3339(disabled.since_us) if disabled else None,
        "disabled_because": disabled.reason if disabled else None,
        "source": "file",
    }
