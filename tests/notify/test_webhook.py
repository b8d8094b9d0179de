"""Webhooks against real receivers that take, refuse, redirect, hang, lie and leave."""

import asyncio
import base64
import time

import pytest
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from gateway.core.deliveries import Message, Outcome
from gateway.core.errors import Fault, Kind
from gateway.core.keys import Secret
from gateway.notify.guard import Resolve, look_up
from gateway.notify.webhook import Webhook, signing_key
from gateway.storage.clock import wall_clock_us
from tests.fakes.clock import FakeClock
from tests.notify.test_guard import leads_to
from tests.providers.certificates import Authority
from tests.raw_server import Peer, Script, always, raw_server, silent, whole

pytestmark = pytest.mark.anyio

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = Message("msg-1", '{"type":"test","data":{"subject":"Zürich – 100 %"}}')
HERE = leads_to("127.0.0.1")


def webhook(url: str, secret: str = SECRET, *, resolve: Resolve = HERE, time_limit: float = 10.0) -> Webhook:
    return Webhook(
        "ops", url, Secret(secret), wall_clock_us, allow_private=True, resolve=resolve, time_limit=time_limit
    )


async def sent_to(script: Script, time_limit: float = 10.0) -> Outcome:
    async with raw_server(script) as server:
        return await webhook(server.url, time_limit=time_limit).send(MESSAGE)


@pytest.mark.parametrize("secret", [SECRET, "any text, as it is: ä"])
async def test_a_delivery_is_signed_so_that_the_reference_believes_it(secret: str) -> None:
    async with raw_server(always(whole(b"", "204 No Content"))) as server:
        outcome = await webhook(f"http://hooks.example:{server.port}/in?token=1", secret).send(MESSAGE)
    (request,) = server.requests
    fields = {name.lower(): value for name, value in request.fields}
    assert outcome == Outcome(True, 204)
    assert request.line == "POST /in?token=1 HTTP/1.1"
    assert fields["host"] == f"hooks.example:{server.port}"
    assert (fields["webhook-id"], fields["content-type"]) == ("msg-1", "application/json")
    assert abs(int(fields["webhook-timestamp"]) - time.time()) < 10
    verifier = Verifier(secret if secret == SECRET else secret.encode())
    assert verifier.verify(request.body, fields)["data"]["subject"] == "Zürich – 100 %"
    with pytest.raises(WebhookVerificationError):
        verifier.verify(request.body + b" ", fields)
    with pytest.raises(WebhookVerificationError):
        Verifier(b"another").verify(request.body, fields)


async def test_a_redirect_is_not_followed() -> None:
    async with raw_server(always(whole(b"secrets"))) as inside:
        head = f"location: {inside.url}/latest/meta-data\r\n"
        for status in ("301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"):
            outcome = await sent_to(always(whole(b"", status, head)))
            assert (outcome.delivered, outcome.status) == (False, int(status[:3]))
            assert "not followed" in (outcome.error or "")
    assert inside.requests == []


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 502, 503])
async def test_a_refusal_is_told_with_its_first_words(status: int) -> None:
    outcome = await sent_to(always(whole(b"no such\r\n\x1b[31mtoken" + b"!" * 9000, f"{status} No")))
    assert (outcome.delivered, outcome.status, outcome.retry_after, outcome.gone) == (False, status, None, False)
    assert (outcome.error or "").startswith(f"answered {status}: no such ?[31mtoken!!")
    assert len(outcome.error or "") < 250


async def test_a_receiver_that_is_gone_is_told_apart() -> None:
    outcome = await sent_to(always(whole(b"", "410 Gone")))
    assert (outcome.delivered, outcome.status, outcome.gone) == (False, 410, True)


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        ("7", 7.0),
        (" 86400 ", 86400.0),
        ("Sat, 31 Oct 2026 08:10:00 GMT", 600.0),
        ("Sat, 31 Oct 2026 07:50:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("", None),
    ],
)
async def test_how_long_a_receiver_asks_to_wait_is_read(field: str, seconds: float | None) -> None:
    async with raw_server(always(whole(b"", "429 Too Many Requests", f"retry-after: {field}\r\n"))) as server:
        one = Webhook("ops", server.url, Secret(SECRET), FakeClock().now_us, allow_private=True)
        assert (await one.send(MESSAGE)).retry_after == seconds


async def test_who_hangs_is_left() -> None:
    assert await sent_to(silent, 0.3) == Outcome(False, error="no whole answer within 0.3 seconds")


async def dribbling(peer: Peer) -> None:
    await peer.request()
    for byte in b"HTTP/1.1 200 OK\r\nx-slow: " + b"a" * 100:
        await peer.send(bytes([byte]))
        await asyncio.sleep(0.02)


async def test_an_answer_that_never_gets_whole_is_left() -> None:
    assert (await sent_to(dribbling, 0.3)).error == "no whole answer within 0.3 seconds"


async def endless(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 500 No\r\ncontent-type: text/plain\r\n\r\n")
    while True:
        await peer.send(b"x" * 65536)


async def test_an_answer_without_an_end_is_read_no_further() -> None:
    async with raw_server(endless) as server:
        outcome = await webhook(server.url).send(MESSAGE)
        await server.all_gone()
    assert outcome.status == 500


async def stalling(peer: Peer) -> None:
    await peer.request()
    status = b"200 OK" if b"good" in peer.requests[0].line.encode() else b"410 Gone"
    await peer.send(b"HTTP/1.1 " + status + b"\r\ncontent-length: 100\r\n\r\nhalf")
    await peer.gone()


async def test_the_head_of_an_answer_is_believed_whatever_its_body_does() -> None:
    async with raw_server(stalling) as server:
        assert (await webhook(f"{server.url}/good").send(MESSAGE)).delivered
        assert (await webhook(f"{server.url}/gone").send(MESSAGE)).gone


@pytest.mark.parametrize(
    "garbage", [b"\x00\xff\xfe garbage\r\n\r\n", b"HTTP/1.1 999999 What\r\n\r\n", b"SSH-2.0-x\r\n", b""]
)
async def test_garbage_is_a_failure_like_any_other(garbage: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(garbage)

    outcome = await sent_to(script)
    assert (outcome.delivered, outcome.status) == (False, None)
    assert outcome.error


async def test_nobody_there() -> None:
    async with raw_server(silent) as server:
        url = server.url
    assert "no connection" in ((await webhook(url).send(MESSAGE)).error or "")


# --- where it goes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "localhost", "2130706433", "rebound.example"])
async def test_a_private_address_is_not_even_connected_to(host: str) -> None:
    async with raw_server(always(whole(b""))) as server:
        resolve = HERE if host.endswith("example") else look_up
        guarded = Webhook("ops", f"http://{host}:{server.port}/", Secret(SECRET), wall_clock_us, resolve=resolve)
        outcome = await guarded.send(MESSAGE)
    assert "allow_private" in (outcome.error or "")
    assert server.peers == []


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest/meta-data", "https://[::1]/", "http://[fe80::1]/"])
async def test_metadata_and_other_near_addresses_are_refused(url: str) -> None:
    guarded = Webhook("ops", url, Secret(SECRET), wall_clock_us)
    assert "allow_private" in ((await guarded.send(MESSAGE)).error or "")


async def test_a_name_is_looked_up_once_and_what_was_looked_at_is_connected_to() -> None:
    names = leads_to("127.0.0.1")
    async with raw_server(always(whole(b""))) as server:
        assert (await webhook(f"http://nowhere.invalid:{server.port}", resolve=names).send(MESSAGE)).delivered
    assert names.asked == 1


async def test_the_next_address_is_tried_where_the_first_takes_no_connection() -> None:
    async with raw_server(always(whole(b""))) as server:
        names = leads_to("127.0.0.2", "::1", "127.0.0.1", "127.0.0.3")
        assert (await webhook(f"http://hooks.example:{server.port}", resolve=names).send(MESSAGE)).delivered


async def test_tls_proves_the_name_though_an_address_is_connected_to(authority: Authority) -> None:
    async with raw_server(always(whole(b"")), tls=authority.server("hooks.example")) as server:
        for host, delivered in (("hooks.example", True), ("other.example", False), ("127.0.0.1", False)):
            one = Webhook(
                "ops", f"https://{host}:{server.port}/", Secret(SECRET), wall_clock_us,
                allow_private=True, resolve=HERE, tls=authority.client(),
            )  # fmt: skip
            outcome = await one.send(MESSAGE)
            assert outcome.delivered is delivered, outcome
        unknown = webhook(f"https://hooks.example:{server.port}/")
        assert "CERTIFICATE_VERIFY_FAILED" in ((await unknown.send(MESSAGE)).error or "")


# --- what it is -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["whsec_", "whsec_===", "whsec_nö", "whsec_a-b_", "whsec_a"])
def test_a_secret_that_cannot_sign_is_refused_at_once(secret: str) -> None:
    with pytest.raises(Fault) as raised:
        signing_key(Secret(secret), "ops")
    assert (raised.value.kind, raised.value.param) == (Kind.INVALID, "alerts.channels.ops.secret")
    assert secret.removeprefix("whsec_") in ("", "a") or secret not in raised.value.sentence


def test_padding_may_be_left_out() -> None:
    key = b"nearly twenty-four"[:16]
    written = "whsec_" + base64.b64encode(key).decode()
    assert written.endswith("==")
    assert signing_key(Secret(written), "a") == signing_key(Secret(written.strip("=")), "a") == key


def test_what_is_shown_of_an_address_is_no_key() -> None:
    one = webhook("https://hooks.example.com:8443/services/T0/B0/XXXX?token=1")
    assert (one.name, one.kind, one.address) == ("ops", "webhook", "https://hooks.example.com:8443/…")
    assert webhook("https://a.example").digest != webhook("https://a.example/2").digest
    assert webhook("https://a.example").digest == webhook("https://a.example", "another").digest
