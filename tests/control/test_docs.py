import re

import httpx
import pytest

from tests.control.plane import Plane

pytestmark = pytest.mark.anyio


async def test_the_page_shows_every_path_and_loads_nothing(plane: Plane) -> None:
    async with plane.client(token=None) as client:
        page = await client.get("/admin/docs")
        paths = (await client.get("/admin/openapi.json")).json()["paths"]
    assert page.status_code == 200
    assert {"/admin/keys", "/admin/keys/{id}/rotate", "/admin/usage", "/admin/calls/{id}", "/readyz"} <= set(paths)
    assert all(f"<code>{path}</code>" in page.text for path in paths)
    assert not re.search(r"<script|<img|<iframe|\bsrc=|https?://|@import|url\(", page.text)
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "team" in page.text


async def test_the_framework_s_own_pages_are_not_there(admin: httpx.AsyncClient) -> None:
    for path in ("/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"):
        assert (await admin.get(path)).status_code == 404


async def test_the_openapi_states_the_errors_that_are_really_sent(plane: Plane) -> None:
    async with plane.client(token=None) as client:
        schema = (await client.get("/admin/openapi.json")).json()
    assert "HTTPValidationError" not in schema["components"]["schemas"]
    for methods in schema["paths"].values():
        for operation in methods.values():
            assert list(operation["responses"]["4XX"]["content"]) == ["application/problem+json"]
    create = schema["paths"]["/admin/keys"]["post"]
    assert create["security"] == [{"admin token": []}]
    assert "security" not in schema["paths"]["/healthz"]["get"]
