from dataclasses import replace

import anyio
import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from gateway.control.dependencies import Check, Health
from gateway.core.errors import Fault, Kind
from tests.control.plane import WELL, Plane, probe

pytestmark = pytest.mark.anyio


def remote(plane: Plane, **changes: object) -> httpx.AsyncClient:
    return plane.client(token=None, peer="192.0.2.7", host="gateway.example", **changes)


async def test_alive_is_open_and_says_only_that(plane: Plane) -> None:
    async with remote(plane) as client:
        answer = await client.get("/healthz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert (await client.head("/healthz")).status_code == 200
        assert (await client.head("/readyz")).status_code == 200


@pytest.mark.parametrize(
    ("database", "journal", "providers", "ready"),
    [
        (True, True, True, True),
        (False, True, True, True),
        (True, True, False, False),
        (True, False, True, False),
        (False, False, True, False),
    ],
)
async def test_ready_while_the_journal_takes_over_and_a_provider_is_known(
    plane: Plane, database: bool, journal: bool, providers: bool, ready: bool
) -> None:
    health = Health(
        database=probe(ok=database, detail="at db.internal"),
        journal=probe(ok=journal),
        figures=probe(ok=False),
        providers=probe(ok=providers),
    )
    async with remote(plane, health=health) as client:
        answer = await client.get("/readyz")
        assert answer.status_code == (200 if ready else 503)
        assert answer.json() == {"status": "ok" if ready else "not ok"}


async def test_details_are_for_those_with_the_token_or_on_this_machine(plane: Plane) -> None:
    details = {
        "status": "ok",
        "version": "1.2.3",
        "checks": {
            name: {"ok": True, "detail": "as it should be"} for name in ("database", "figures", "journal", "providers")
        },
    }
    async with plane.client(peer="192.0.2.7", host="gateway.example") as with_token:
        assert (await with_token.get("/readyz")).json() == details
    async with plane.client(token=None) as here:
        assert (await here.get("/readyz")).json() == details
    async with remote(plane, metrics_open=True) as opened:
        assert (await opened.get("/readyz")).json() == details
    async with remote(plane) as anybody:
        assert (await anybody.get("/readyz")).json() == {"status": "ok"}


async def test_a_probe_that_fails_or_hangs_is_an_answer(plane: Plane) -> None:
    async def failing() -> Check:
        raise Fault(Kind.UNAVAILABLE, "the database is locked")

    async def hanging() -> Check:
        await anyio.sleep_forever()
        raise AssertionError

    health = replace(WELL, database=failing, providers=hanging)
    async with plane.client(health=health) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 503
    checks = answer.json()["checks"]
    assert checks["database"] == {"ok": False, "detail": "the database is locked"}
    assert checks["providers"] == {"ok": False, "detail": "no answer within 2 s"}


async def test_metrics_come_in_the_format_that_is_asked_for(plane: Plane) -> None:
    registry = CollectorRegistry()
    Counter("things", "Things.", registry=registry).inc(3)
    async with plane.client(metrics=registry) as client:
        plain = await client.get("/metrics")
        assert plain.headers["content-type"].startswith("text/plain")
        assert "things_total 3.0" in plain.text
        accept = {"accept": "application/openmetrics-text; version=1.0.0"}
        modern = await client.get("/metrics", headers=accept)
        assert modern.headers["content-type"].startswith("application/openmetrics-text")
        assert modern.text.endswith("# EOF\n")
