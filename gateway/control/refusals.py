"""Every error of the control plane as RFC 9457, `application/problem+json`: the one table from kind to status.

Says what was wrong, where and what to do; never what the inside looks like.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.core.errors import Fault, Kind

MEDIA_TYPE = "application/problem+json"

STATUS: Mapping[Kind, int] = {
    Kind.INVALID: 422,
    Kind.TOO_LARGE: 413,
    Kind.BAD_KEY: 401,
    Kind.MODEL_NOT_ALLOWED: 403,
    Kind.MODEL_UNKNOWN: 404,
    Kind.PRICE_UNKNOWN: 422,
    Kind.BUDGET_SPENT: 429,
    Kind.RATE: 429,
    Kind.MAX_COST: 422,
    Kind.UNKNOWN_URL: 404,
    Kind.METHOD_NOT_ALLOWED: 405,
    Kind.UNSUPPORTED: 501,
    Kind.LOOP: 508,
    Kind.UPSTREAM: 502,
    Kind.UPSTREAM_UNCERTAIN: 502,
    Kind.TIMEOUT: 504,
    Kind.UNAVAILABLE: 503,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.FORBIDDEN: 403,
    Kind.INTERNAL: 500,
}
_KIND_OF = {
    400: Kind.INVALID,
    404: Kind.UNKNOWN_URL,
    405: Kind.METHOD_NOT_ALLOWED,
    413: Kind.TOO_LARGE,
}


class FieldError(BaseModel):
    """One field that is wrong."""

    pointer: str
    """Where: `body.models.0`, `query.since`."""
    detail: str


class Problem(BaseModel):
    """An error as RFC 9457 writes it, with what this API adds."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    """The kind of error, a word for programs."""
    hint: str | None = None
    """What to do about it."""
    param: str | None = None
    errors: list[FieldError] | None = None


def problem(
    fault: Fault,
    request: Request,
    *,
    status: int | None = None,
    errors: Sequence[FieldError] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer to a request that failed with `fault`; `status` only where HTTP itself has decided on one."""
    status = status or STATUS[fault.kind]
    body = Problem(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=fault.message,
        instance=request.scope["path"],
        code=fault.kind,
        hint=fault.hint,
        param=fault.param,
        errors=None if errors is None else list(errors),
    )
    all_headers = dict(headers or {})
    if fault.retry_after is not None:
        all_headers["retry-after"] = str(max(1, round(fault.retry_after)))
    content = orjson.dumps(body.model_dump(exclude_none=True))
    return Response(content, status, all_headers, MEDIA_TYPE)


def install(app: FastAPI, routers: Sequence[APIRouter]) -> None:
    """Make every error of the app a problem: ours, the framework's, and those that nobody foresaw.

    `routers` know which methods a path has; the framework tells those of the first route that fits only.
    """
    app.state.routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    app.exception_handler(Fault)(_on_fault)
    app.exception_handler(RequestValidationError)(_on_invalid)
    app.exception_handler(HTTPException)(_on_http_error)
    app.exception_handler(Exception)(_on_anything_else)


async def _on_fault(request: Request, error: Fault) -> Response:
    return problem(error, request)


async def _on_invalid(request: Request, error: RequestValidationError) -> Response:
    unread = any(one["loc"] == ("body",) and one["type"] != "missing" for one in error.errors())
    if unread and not _sends_json(request):
        fault = Fault(Kind.INVALID, "the body is not marked as JSON", hint="send content-type: application/json")
        return problem(fault, request)
    errors = [_field_error(one) for one in error.errors()]
    first = errors[0]
    more = f" (and {len(errors) - 1} more, see `errors`)" if len(errors) > 1 else ""
    message = f"{first.pointer}: {first.detail}{more}"
    return problem(Fault(Kind.INVALID, message), request, errors=errors)


def _sends_json(request: Request) -> bool:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))


def _field_error(error: Mapping[str, Any]) -> FieldError:
    # Neither `input` nor `ctx`: what was sent may be a secret in the wrong field.
    return FieldError(pointer=".".join(map(str, error["loc"])), detail=str(error["msg"]).removeprefix("Value error, "))


async def _on_http_error(request: Request, error: HTTPException) -> Response:
    kind = _KIND_OF.get(error.status_code, Kind.INTERNAL)
    messages = {
        Kind.UNKNOWN_URL: f"there is nothing at {request.scope['path']}",
        Kind.METHOD_NOT_ALLOWED: f"{request.method} is not possible here",
    }
    hints = {Kind.UNKNOWN_URL: "/admin/openapi.json lists what there is"}
    fault = Fault(kind, messages.get(kind, error.detail), hint=hints.get(kind))
    headers = {"allow": _methods(request)} if kind is Kind.METHOD_NOT_ALLOWED else error.headers
    return problem(fault, request, status=error.status_code, headers=headers)


def _methods(request: Request) -> str:
    """The methods that the requested path has: those of the first template that fits, where several do."""
    path, routes = request.scope["path"], request.app.state.routes
    fitting = [route for route in routes if route.path_regex.match(path)]
    return ", ".join(sorted({method for route in fitting if route.path == fitting[0].path for method in route.methods}))


async def _on_anything_else(request: Request, error: Exception) -> Response:
    fault = Fault(Kind.INTERNAL, "something went wrong here", hint="the log says what")
    return problem(fault, request)
