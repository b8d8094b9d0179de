"""Services that people read, through apprise, against a receiver on this machine."""

import json

import pytest

from gateway.core.alerts.event import Alert, Severity, event_of, resolved
from gateway.core.deliveries import Message, Outcome
from gateway.core.keys import Secret
from gateway.notify.apprise import Service
from gateway.notify.guard import look_up
from tests.notify.test_guard import Names, leads_to
from tests.raw_server import Script, always, raw_server, silent, whole

# apprise loads a module of the standard library that is gone in 3.13, where it has one of its own.
pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")]

ALERT = Alert(
    "spent", "budget.threshold", "search", "2026-11/80", 1_793_433_600_000_000, Severity.CRITICAL,
    {"percent": 80, "spent_usd": "401.25", "limit_usd": "500"},
)  # fmt: skip


def message(alert: Alert = ALERT) -> Message:
    return Message("msg-1", json.dumps(event_of(alert, "https://gateway.example/admin/alerts/1")))


def service(url: str, *, allow_private: bool = True, names: Names | None = None) -> Service:
    return Service("team", Secret(url), allow_private=allow_private, resolve=names or look_up, time_limit=10.0)


async def test_a_person_reads_what_happened_and_where_to_look() -> None:
    async with raw_server(always(whole(b"ok"))) as server:
        assert await service(f"json://{server.authority}/in").send(message()) == Outcome(True)
        assert (await service(f"json://{server.authority}/in").send(message(resolved(ALERT, 1)))).delivered
    raised, over = (json.loads(request.body) for request in server.requests)
    assert raised["title"] == "Budget search: 80 % of $500.00 spent"
    assert "https://gateway.example/admin/alerts/1" in raised["message"].splitlines()
    assert (raised["type"], over["type"]) == ("failure", "success")
    assert over["title"] == "Resolved: Budget search: 80 % of $500.00 spent"


@pytest.mark.parametrize(
    ("script", "words"),
    [(always(whole(b"", "500 No")), "500"), (always(whole(b"", "302 Found", "location: /x\r\n")), "302")],
    ids=["refused", "redirected"],
)
async def test_what_was_not_taken_is_a_failure_with_the_reason(script: Script, words: str) -> None:
    async with raw_server(script) as server:
        outcome = await service(f"json://{server.authority}/").send(message())
    assert not outcome.delivered
    assert words in (outcome.error or "")
    assert len(server.requests) == 1


async def test_who_hangs_is_left() -> None:
    async with raw_server(silent) as server:
        one = Service("team", Secret(f"json://{server.authority}/?rto=1"), allow_private=True, time_limit=0.5)
        assert not (await one.send(message())).delivered


async def test_an_address_that_is_none_is_told_without_repeating_it() -> None:
    outcome = await service("nonsense://key-that-is-secret").send(message())
    assert "apprise does not understand" in (outcome.error or "")
    assert "secret" not in (outcome.error or "")


async def test_a_host_that_an_address_names_is_guarded() -> None:
    async with raw_server(always(whole(b"ok"))) as server:
        for host, names in (("127.0.0.1", None), ("hooks.example", leads_to("10.0.0.1"))):
            outcome = await service(f"json://{host}:{server.port}/", allow_private=False, names=names).send(message())
            assert "allow_private" in (outcome.error or "")
    assert server.peers == []


def test_what_is_shown_of_an_address_is_no_key() -> None:
    one = service("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ")
    assert (one.name, one.kind, one.address) == ("team", "apprise", "slack://…")
    assert one.digest != service("slack://T1JJ3T3L2/A1BRTD4JD/other").digest
