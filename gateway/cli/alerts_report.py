"""`tollkeeper alerts report`: what a scheduled report says, before it is due or once more."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.cli import when
from gateway.cli.frame import opened, read_settings
from gateway.cli.tables import print_json
from gateway.core.errors import Fault, Kind


async def report_now(config: Path | None, name: str, *, send: bool) -> dict[str, Any]:
    """The event that tells of the last period that is over. Raises `Fault` (invalid) for a report that there is not."""
    from zoneinfo import ZoneInfo

    from gateway.app.budgets import declared_budgets
    from gateway.app.reports import schedules_of, summaries_on
    from gateway.core.alerts.event import event_of, link_to
    from gateway.core.summary import due
    from gateway.settings import public_address
    from gateway.storage.alerts import AlertRepository
    from gateway.storage.budgets import BudgetRepository

    settings = read_settings(config)
    schedules = schedules_of(settings)
    schedule = schedules.get(name)
    if schedule is None:
        known = ", ".join(schedules) or "none"
        raise Fault(Kind.INVALID, f"there is no report {name}", hint=f"`alerts.reports` names {known}", param="NAME")
    now_us = when.now_us()
    # Of the last period that is over, whether its hour has come or not.
    period = due(replace(schedule, minute=0), ZoneInfo(schedule.zone), now_us)
    base = public_address(settings.server)
    async with opened(config, read_only=not send) as db:
        known_budgets = {one.name: one for one in (*await BudgetRepository(db).all(), *declared_budgets(settings))}
        summaries = summaries_on(db, lambda: list(known_budgets.values()), when.now_us)
        alert = await summaries.of(schedule, period, now_us)
        if send:
            # Of a window of its own, so that the one that is due is made all the same.
            alert = replace(alert, window=f"{alert.window}/{now_us}")
            await AlertRepository(db, base).raise_alert(alert, schedule.channels, over=True)
    return event_of(alert, link_to(base, alert.id) if send else None) | {"channels": list(schedule.channels)}


def print_report(event: Mapping[str, Any], sent: bool, as_json: bool) -> None:
    """As people get it."""
    if as_json:
        print_json(event)
        return
    print(event["data"]["title"])
    print(event["data"]["because"])
    if sent:
        channels = ", ".join(event["channels"]) or "nobody, for it names no channel"
        print(f"sent by the running gateway to {channels}")
