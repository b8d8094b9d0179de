"""From settings to channels that are told: the whole way of an alert through a running gateway."""

import asyncio
import json
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from gateway.app.alerts import channel_of, channels_of
from gateway.core.alerts.event import Alert
from gateway.core.errors import Fault, Kind
from gateway.settings import SettingsError, load
from gateway.storage.clock import wall_clock_us
from tests.app.building import ADMIN, built, running, settings_file
from tests.raw_server import PATIENCE, Peer, raw_server, until, whole

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ENVIRON = {"HOOK": SECRET, "TEAM": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"}
CHANNELS = "{channels: {ops: {webhook: 'https://ops.example/in?token=1', secret: env:HOOK}, team: {apprise: env:TEAM}}}"


def test_channels_come_from_the_settings_and_their_secrets_from_where_they_are_kept(tmp_path: Path) -> None:
    settings = load(settings_file(tmp_path, alerts=CHANNELS), {})
    channels, secrets = channels_of(settings, ENVIRON, wall_clock_us)
    assert [(one.name, one.kind, one.address) for one in channels] == [
        ("ops", "webhook", "https://ops.example/…"),
        ("team", "apprise", "slack://…"),
    ]
    assert [one.reveal() for one in secrets] == [ENVIRON["HOOK"], ENVIRON["TEAM"]]
    assert channel_of("team", settings, ENVIRON, wall_clock_us).kind == "apprise"
    with pytest.raises(Fault) as raised:
        channel_of("tema", settings, ENVIRON, wall_clock_us)
    assert raised.value.kind is Kind.NOT_FOUND
    assert "ops, team" in raised.value.sentence


def test_a_secret_that_is_not_there_or_cannot_sign_is_told_at_start(tmp_path: Path) -> None:
    settings = load(settings_file(tmp_path, alerts=CHANNELS), {})
    with pytest.raises(SettingsError, match="HOOK is not set"):
        channels_of(settings, {}, wall_clock_us)
    with pytest.raises(Fault, match="not base64"):
        channels_of(settings, ENVIRON | {"HOOK": "whsec_?"}, wall_clock_us)


@pytest.mark.anyio
async def test_an_alert_reaches_its_receiver_though_the_first_try_fails(tmp_path: Path) -> None:
    async def moody(peer: Peer) -> None:
        await peer.request()
        first = len(server.requests) == 1
        await peer.send(whole(b"", "503 Busy", "retry-after: 1\r\n") if first else whole(b"", "204 No Content"))

    async with raw_server(moody) as server:
        alerts = f"{{channels: {{ops: {{webhook: '{server.url}/in', secret: env:HOOK, allow_private: true}}}}}}"
        gateway = built(tmp_path, {"HOOK": SECRET}, alerts=alerts)
        async with running(gateway) as client:
            alert = Alert("unpriced", "price.unknown", "sim/m", "2026-11-27", wall_clock_us())
            assert await gateway.alerts.repository.raise_alert(alert, list(gateway.alerts.channels))
            await until(lambda: len(server.requests) == 2, "it was tried again")
            async with asyncio.timeout(PATIENCE):
                while (items := (await client.get("/admin/alerts/deliveries", headers=ADMIN)).json()["items"])[0][
                    "state"
                ] != "delivered":
                    await asyncio.sleep(0.02)
    tries = items[0]["tries"]
    assert [one["status"] for one in tries] == [503, 204]
    first, second = ({name.lower(): value for name, value in one.fields} for one in server.requests)
    assert first["webhook-id"] == second["webhook-id"] == items[0]["id"]
    for request, fields in zip(server.requests, (first, second), strict=True):
        event = Verifier(SECRET).verify(request.body, fields)
        assert event["data"]["link"] == f"http://127.0.0.1:4000/admin/alerts/{alert.id}"
        assert json.loads(request.body)["type"] == "price.unknown"
