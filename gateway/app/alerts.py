"""From settings to channels. Secrets are looked up here. Opens nothing."""

from collections.abc import Callable, Mapping
from decimal import Decimal

from gateway.app.alert_rules import armed
from gateway.control.alerts_desk import AlertDesk, DeclaredChannel
from gateway.core.alerts.threshold import Threshold
from gateway.core.budgets import Budgets
from gateway.core.errors import Fault, Kind
from gateway.core.keys import Secret
from gateway.jobs.alerts import AlertsJob
from gateway.jobs.thresholds import Thresholds
from gateway.ports import Channel, Clock
from gateway.settings import ChannelSettings, Settings, public_address
from gateway.settings.alert_rules import OF_ACTIONS, TAKES, AlertRuleSettings
from gateway.storage.accounts import Accounts
from gateway.storage.actions import ActionRepository, ActionStore
from gateway.storage.alerts import AlertRepository
from gateway.storage.deliveries import Outbox
from gateway.storage.engine import Database
from gateway.storage.minutes import Minutes


def channels_of(
    settings: Settings, environ: Mapping[str, str], now_us: Callable[[], int]
) -> tuple[list[Channel], list[Secret]]:
    """Every channel, and their secrets for the log's eyes only. Raises `Fault`, `SettingsError`: a secret is missing
    or cannot sign."""
    channels, secrets = [], []
    for name, given in settings.alerts.channels.items():
        channel, secret = _channel(name, given, environ, now_us)
        channels.append(channel)
        secrets.append(secret)
    return channels, secrets


def channel_of(name: str, settings: Settings, environ: Mapping[str, str], now_us: Callable[[], int]) -> Channel:
    """One channel alone. Raises `Fault`: not found; and as `channels_of`."""
    given = settings.alerts.channels.get(name)
    if given is None:
        known = ", ".join(settings.alerts.channels) or "none"
        raise Fault(Kind.NOT_FOUND, f"there is no channel {name}", hint=f"`alerts.channels` names {known}")
    return _channel(name, given, environ, now_us)[0]


def alert_desk(
    settings: Settings,
    database: Database,
    channels: list[Channel],
    acting: ActionStore,
    now_us: Callable[[], int],
    owner: str,
) -> AlertDesk:
    """What the control plane knows of alerts; `acting`: what rules have done, as it is in force here."""
    places = {name: _place(settings, given) for name, given in settings.alerts.channels.items()}
    declared = {
        channel.name: DeclaredChannel(
            channel, settings.alerts.channels[channel.name].allow_private, places[channel.name]
        )
        for channel in channels
    }
    base = public_address(settings.server)
    repository, outbox = AlertRepository(database, base, now_us), Outbox(database, now_us)
    actions = ActionRepository(database, now_us)
    return AlertDesk(repository, outbox, actions, acting, declared, _rules_shown(settings), base, owner)


def watchers(
    settings: Settings,
    database: Database,
    accounts: Accounts,
    alerts: AlertRepository,
    budgets: Callable[[], Budgets],
    behind: Callable[[], float],
    clock: Clock,
    *,
    leads: bool,
) -> tuple[Thresholds, AlertsJob | None]:
    """Percentages are looked at by whoever charges; of the other rules one process of a machine (`leads`) is enough.
    Raises `Fault` (invalid) for a rule that cannot be."""
    rules = [armed(name, given) for name, given in settings.alerts.rules.items()]
    of_budgets = [one for one in rules if isinstance(one.rule, Threshold)]
    others = [one for one in rules if not isinstance(one.rule, Threshold)]
    thresholds = Thresholds(of_budgets, accounts, alerts, budgets, clock)
    if not others or not leads:
        return thresholds, None
    return thresholds, AlertsJob(others, Minutes(database), alerts, budgets, behind, clock)


def _rules_shown(settings: Settings) -> list[dict[str, object]]:
    return [
        {
            "name": name,
            "kind": given.kind,
            "channels": list(given.channels),
            "source": "file",
            "parameters": _stated(given),
        }
        for name, given in settings.alerts.rules.items()
    ]


def _stated(given: AlertRuleSettings) -> dict[str, object]:
    """The parameters that the file states; the others have the defaults of their kind."""
    stated = {name: getattr(given, name) for name in (*TAKES[given.kind], "action", *OF_ACTIONS.values())}
    shown = {
        name: str(value) if isinstance(value, Decimal) else value for name, value in stated.items() if value is not None
    }
    return shown | {"ask": True} if given.ask else shown


def _channel(
    name: str, given: ChannelSettings, environ: Mapping[str, str], now_us: Callable[[], int]
) -> tuple[Channel, Secret]:
    # Imported here: the HTTP client of webhooks is loaded by whoever has one.
    if given.webhook is not None:
        from gateway.notify.webhook import Webhook

        assert given.secret is not None, "settings.checks asks for it"
        secret = Secret(given.secret.resolve(environ))
        return Webhook(name, given.webhook, secret, now_us, allow_private=given.allow_private), secret
    from gateway.notify.apprise import Service

    assert given.apprise is not None, "settings.checks asks for one of the two"
    url = Secret(given.apprise.resolve(environ))
    return Service(name, url, allow_private=given.allow_private), url


def _place(settings: Settings, given: ChannelSettings) -> str | None:
    return f"{settings.file.name}, line {given.line}" if settings.file and given.line else None
