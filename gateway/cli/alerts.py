"""`tollkeeper alerts`: what happened, what rules did, where it is told, and what became of the telling."""

import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import alerts_replay, when
from gateway.cli.actor import actor
from gateway.cli.frame import FAILED, AsJson, Config, group, opened, read_settings, run
from gateway.core.errors import Fault, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.core.budgets import Budget
    from gateway.settings import Settings
    from gateway.settings.alert_rules import AlertRuleSettings

app = group("What happened, what was done, and who was told of it.")

Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1000, help="How many, the newest first.")]


@app.command("list")
def list_alerts(limit: Limit = 20, config: Config = None, as_json: AsJson = False) -> None:
    """List the newest alerts, resolved ones too."""
    from gateway.cli.alerts_sheet import print_alerts

    print_alerts(run(_alerts(config, limit)), as_json)


@app.command("test")
def try_one(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="A name of `alerts.channels`.")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Send a message to a channel at once, and say what came of it.

    Also to a channel that is disabled: a message that arrives enables it again. Exit code 1 if it does not arrive.
    """
    from gateway.cli.alerts_sheet import print_tested

    delivery = run(_test(config, channel))
    print_tested(delivery, as_json)
    if delivery["state"] != "delivered":
        raise typer.Exit(FAILED)


@app.command("deliveries")
def deliveries(limit: Limit = 20, config: Config = None, as_json: AsJson = False) -> None:
    """List the newest deliveries and what became of them.

    With --json every try of each.
    """
    from gateway.cli.alerts_sheet import print_deliveries

    print_deliveries(run(_deliveries(config, limit)), as_json)


@app.command("redeliver")
def redeliver(
    id: Annotated[str, typer.Argument(metavar="ID", help="The delivery's id.")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Send a delivery again, or now if it waits, under the same id.

    The running gateway sends it within seconds.
    """
    from gateway.cli.alerts_sheet import print_asked_again

    print_asked_again(run(_redeliver(config, id)), as_json)


@app.command("report")
def report(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of `alerts.reports`.")],
    send: Annotated[bool, typer.Option("--send", help="Send it to its channels, even if it was sent.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show the scheduled report of the last period that is over.

    With --send it goes to its channels: the running gateway sends it within seconds.
    """
    from gateway.cli.alerts_report import print_report, report_now

    print_report(run(report_now(config, name, send=send)), send, as_json)


Action = Annotated[str, typer.Argument(metavar="ID", help="The action's id, as the alert and `alerts actions` say it.")]


@app.command("actions")
def list_actions(limit: Limit = 20, config: Config = None, as_json: AsJson = False) -> None:
    """List what rules have done, and what they ask for.

    The newest first.
    """
    from gateway.cli.alerts_sheet import print_actions

    print_actions(run(_actions(config, limit)), as_json)


@app.command("confirm")
def confirm(id: Action, config: Config = None, as_json: AsJson = False) -> None:
    """Have done what a rule has asked for.

    It is in force in every process within two seconds.
    """
    _decided(config, id, "in_force", as_json)


@app.command("decline")
def decline(id: Action, config: Config = None, as_json: AsJson = False) -> None:
    """Have not done what a rule has asked for."""
    _decided(config, id, "declined", as_json)


@app.command("undo")
def undo(id: Action, config: Config = None, as_json: AsJson = False) -> None:
    """End what a rule has done.

    It is over in every process within two seconds. The rule acts again if it fires again.
    """
    _decided(config, id, "undone", as_json)


def _decided(config: Path | None, id: str, stage: str, as_json: bool) -> None:
    from gateway.cli.alerts_sheet import print_decided

    print_decided(run(_decide(config, id, stage)), as_json)


async def _actions(config: Path | None, limit: int) -> dict[str, Any]:
    from gateway.control.alerts_shown import action_facts
    from gateway.storage.actions import ActionRepository

    async with opened(config, read_only=True) as db:
        page = await ActionRepository(db).page(limit)
    return {"items": [action_facts(action) for action in page.items], "next": page.next}


async def _decide(config: Path | None, id: str, stage: str) -> dict[str, Any]:
    from gateway.control.alerts_shown import action_facts
    from gateway.core.actions import Stage
    from gateway.storage.actions import ActionRepository

    async with opened(config, read_only=False) as db:
        return action_facts(await ActionRepository(db).decide(id, Stage(stage), actor()))


async def _alerts(config: Path | None, limit: int) -> dict[str, Any]:
    from gateway.control.alerts_shown import alert_facts
    from gateway.settings import public_address
    from gateway.storage.alerts import AlertRepository

    base = public_address(read_settings(config).server)
    async with opened(config, read_only=True) as db:
        page = await AlertRepository(db).page(limit)
    return {"items": [alert_facts(alert, base) for alert in page.items], "next": page.next}


async def _test(config: Path | None, name: str) -> dict[str, Any]:
    from gateway.app.alerts import channel_of
    from gateway.control.alerts_shown import delivery_facts
    from gateway.control.alerts_trial import try_channel
    from gateway.settings import public_address
    from gateway.storage.deliveries import Outbox

    settings = read_settings(config)
    try:
        channel = channel_of(name, settings, os.environ, when.now_us)
    except Fault as fault:
        kind = Kind.INVALID if fault.kind is Kind.NOT_FOUND else fault.kind
        raise Fault(kind, fault.message, hint=fault.hint, param=fault.param) from None
    async with opened(config, read_only=False) as db:
        outbox = Outbox(db)
        base = public_address(settings.server)
        delivery = await try_channel(channel, outbox, base, when.now_us, f"cli-{uuid.uuid4().hex}")
        return delivery_facts(delivery, (await outbox.tries([delivery.id]))[delivery.id])


async def _deliveries(config: Path | None, limit: int) -> dict[str, Any]:
    from gateway.control.alerts_shown import delivery_facts
    from gateway.storage.deliveries import Outbox

    async with opened(config, read_only=True) as db:
        outbox = Outbox(db)
        page = await outbox.page(limit)
        tries = await outbox.tries([one.id for one in page.items])
    return {"items": [delivery_facts(one, tries[one.id]) for one in page.items], "next": page.next}


async def _redeliver(config: Path | None, id: str) -> dict[str, Any]:
    from gateway.control.alerts_shown import delivery_facts
    from gateway.storage.deliveries import Outbox

    async with opened(config, read_only=False) as db:
        outbox = Outbox(db)
        delivery = await outbox.redeliver(id, actor())
        return delivery_facts(delivery, (await outbox.tries([id]))[id])


def _rules(settings: "Settings") -> "Mapping[str, AlertRuleSettings]":
    return settings.alerts.rules


def _budgets(settings: "Settings") -> "Sequence[Budget]":
    from gateway.app.budgets import declared_budgets

    return declared_budgets(settings)


alerts_replay.register(app, _rules, _budgets)
