"""`/admin/openapi.json` and a page that shows it: drawn here, loads nothing from elsewhere and runs no script."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from starlette.responses import HTMLResponse

from gateway.control.dependencies import Json
from gateway.control.refusals import MEDIA_TYPE, Problem

router = APIRouter(include_in_schema=False)

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font: 0.9em/1.5 ui-monospace, monospace; }
section { border-top: 1px solid #8886; padding: 0.5rem 0 1rem; }
h2 b { display: inline-block; min-width: 5rem; }
h2 { font-size: 1.1rem; margin: 0.5rem 0; }
dt { font-family: ui-monospace, monospace; }
dd { margin: 0 0 0.3rem 2rem; }
pre { overflow: auto; background: #8881; padding: 0.5rem; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'"


def described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI of the app, with the errors that it really sends. Made once."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        components = schema["components"]["schemas"]
        for unused in ("HTTPValidationError", "ValidationError"):
            components.pop(unused, None)
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        components |= problem.pop("$defs") | {"Problem": problem}
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        for _, _, operation in _operations(schema):
            operation["responses"].pop("422", None)
            for family in ("4XX", "5XX"):
                operation["responses"].setdefault(family, {"description": "A problem (RFC 9457)", "content": content})
        app.openapi_schema = schema
    return app.openapi_schema


@router.get("/admin/openapi.json")
async def openapi(request: Request) -> Response:
    return Json(described(request.app))


@router.get("/admin/docs")
async def docs(request: Request) -> Response:
    page = "".join(_page(described(request.app)))
    return HTMLResponse(page, headers={"content-security-policy": _POLICY, "x-frame-options": "DENY"})


def _operations(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _page(schema: Mapping[str, Any]) -> Iterator[str]:
    title = escape(f"{schema['info']['title']} {schema['info']['version']}")
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    yield f"<body><h1>{title}</h1><p>{escape(schema['info']['description'])}</p>"
    yield '<p>For programs: <a href="/admin/openapi.json">openapi.json</a>.</p>'
    for path, method, operation in _operations(schema):
        yield f"<section><h2><b>{method.upper()}</b> <code>{escape(path)}</code></h2>"
        yield f"<p>{escape(operation.get('description', ''))}</p>"
        yield from _parameters(operation.get("parameters", []))
        yield from _bodies(schema, operation)
        yield "</section>"
    yield "</body></html>"


def _parameters(parameters: list[Mapping[str, Any]]) -> Iterator[str]:
    if parameters:
        yield "<dl>"
        for parameter in parameters:
            yield f"<dt>{escape(parameter['name'])}</dt><dd>in the {escape(parameter['in'])}: "
            yield f"<code>{escape(_type_of(parameter['schema']))}</code></dd>"
        yield "</dl>"


def _bodies(schema: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[str]:
    sent = operation.get("requestBody", {}).get("content", {})
    good: Mapping[str, Any] = next(
        (answer for status, answer in operation["responses"].items() if status.startswith("2")), {}
    )
    for title, contents in (("Body", sent), ("Answer", good.get("content", {}))):
        for content in contents.values():
            fields = _fields(schema, content.get("schema", {}))
            if fields:
                lines = "\n".join(f"{name}: {kind}" for name, kind in fields.items())
                yield f"<p>{title}</p><pre>{escape(lines)}</pre>"


def _fields(schema: Mapping[str, Any], shape: Mapping[str, Any]) -> dict[str, str]:
    reference = shape.get("$ref") or next((one["$ref"] for one in shape.get("anyOf", []) if "$ref" in one), None)
    if reference is None:
        return {}
    component = schema["components"]["schemas"][reference.rsplit("/", 1)[1]]
    return {name: _type_of(field) for name, field in component.get("properties", {}).items()}


def _type_of(shape: Mapping[str, Any]) -> str:
    """A JSON schema in a few words."""
    if "$ref" in shape:
        return str(shape["$ref"]).rsplit("/", 1)[1]
    if "anyOf" in shape:
        return " | ".join(map(_type_of, shape["anyOf"]))
    if "enum" in shape:
        return " | ".join(map(str, shape["enum"]))
    if shape.get("type") == "array":
        return f"[{_type_of(shape.get('items', {}))}]"
    return str(shape.get("format") or shape.get("type", "any"))
