"""From settings to channels. Secrets are looked up here. Opens nothing."""

from collections.abc import Callable, Mapping

from gateway.control.alerts_desk import AlertDesk, DeclaredChannel
from gateway.core.errors import Fault, Kind
from gateway.core.keys import Secret
from gateway.ports import Channel
from gateway.settings import ChannelSettings, Settings, public_address
from gateway.storage.alerts import AlertRepository
from gateway.storage.deliveries import Outbox
from gateway.storage.engine import Database


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
    settings: Settings, database: Database, channels: list[Channel], now_us: Callable[[], int], owner: str
) -> AlertDesk:
    """What the control plane knows of alerts."""
    places = {name: _place(settings, given) for name, given in settings.alerts.channels.items()}
    declared = {
        channel.name: DeclaredChannel(
            channel, settings.alerts.channels[channel.name].allow_private, places[channel.name]
        )
        for channel in channels
    }
    base = public_address(settings.server)
    return AlertDesk(AlertRepository(database, base, now_us), Outbox(database, now_us), declared, base, owner)


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
