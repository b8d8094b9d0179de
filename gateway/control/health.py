"""`/healthz`, `/readyz`, `/metrics`: whether this process lives and can take calls, and its counters.

The state of the database, the journal and the providers comes from callables; this file only weighs it.
"""

from collections.abc import Mapping
from typing import Any

import anyio
from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import choose_encoder
from starlette.concurrency import run_in_threadpool

from gateway.control.dependencies import Check, Given, Health, Json, Probe
from gateway.core.errors import Fault

router = APIRouter(tags=["health"])

PROBE_SECONDS = 2.0
"""An answer that takes longer is one that load balancers do not wait for."""


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether the process lives."""
    return {"status": "ok"}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses={503: {"description": "not ready"}})
async def readyz(request: Request, services: Given) -> Response:
    """Whether calls can be taken. Why not is told to requests with the admin token, or from this machine."""
    checks = await _checks(services.health)
    ready = _ready(checks)
    answer: dict[str, Any] = {"status": "ok" if ready else "not ok"}
    if request.state.trusted:
        answer["version"] = services.version
        answer["checks"] = {name: {"ok": check.ok, "detail": check.detail} for name, check in checks.items()}
    return Json(answer, 200 if ready else 503)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request, services: Given) -> Response:
    """Counters for Prometheus. Rendered in a thread: thousands of series must not hold calls up."""
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    content = await run_in_threadpool(encode, services.metrics)
    return Response(content, headers={"content-type": media_type})


def _ready(checks: Mapping[str, Check]) -> bool:
    """The database may be away as long as the journal takes over; without the journal no call is ever taken.

    Figures that are not whole are a reason to look, not one to refuse calls.
    """
    return checks["journal"].ok and checks["providers"].ok


async def _checks(health: Health) -> dict[str, Check]:
    results: dict[str, Check] = {}

    async def ask(name: str, probe: Probe) -> None:
        results[name] = await _asked(probe)

    async with anyio.create_task_group() as group:
        for name in ("database", "journal", "figures", "providers"):
            group.start_soon(ask, name, getattr(health, name))
    return {name: results[name] for name in sorted(results)}


async def _asked(probe: Probe) -> Check:
    try:
        with anyio.fail_after(PROBE_SECONDS):
            return await probe()
    except TimeoutError:
        return Check(False, f"no answer within {PROBE_SECONDS:g} s")
    except (Fault, OSError) as error:
        # What goes wrong while asking is the answer.
        return Check(False, str(error))
