"""The control plane as one ASGI application: its features behind its gate."""

from fastapi import APIRouter, Depends, FastAPI
from fastapi.security import HTTPBearer
from starlette.middleware import Middleware

from gateway.control import alerts, budgets, calls, docs, health, keys, later, limits, prices, refusals, usage
from gateway.control.dependencies import Services
from gateway.control.gate import Gate

_DESCRIPTION = (
    "What the operator of a Tollkeeper sees and changes. Send `Authorization: Bearer` with the admin token. "
    "Money is a decimal text in USD, times are RFC 3339 in UTC, unknown is null, errors are RFC 9457."
)
_OPEN = (health, docs)
_ADMIN = (keys, budgets, limits, prices, alerts, usage, calls, later)


def control_app(services: Services) -> FastAPI:
    """`/admin`, `/healthz`, `/readyz` and `/metrics`."""
    app = FastAPI(
        title="Tollkeeper control plane",
        description=_DESCRIPTION,
        version=services.version,
        # The framework's own pages load scripts from elsewhere; `docs` draws ours.
        openapi_url=None,
        # A redirect repeats what the `Host` header says.
        redirect_slashes=False,
        middleware=[Middleware(Gate, services.admin_digest, services.metrics_open)],
    )
    app.state.services = services
    refusals.install(app, [feature.router for feature in (*_OPEN, *_ADMIN)])
    for feature in _OPEN:
        app.include_router(feature.router)
    # The gate has let nobody in without the token; this tells the OpenAPI so.
    admin = APIRouter(dependencies=[Depends(HTTPBearer(auto_error=False, scheme_name="admin token"))])
    for feature in _ADMIN:
        admin.include_router(feature.router)
    app.include_router(admin)
    return app
