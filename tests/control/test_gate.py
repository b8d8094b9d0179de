from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from gateway.control.router import control_app
from tests.control.plane import LOCAL, REMOTE, SECRET_OF_THE_FILE, TOKEN, Plane

pytestmark = pytest.mark.anyio

OPEN = {"/healthz", "/readyz"}
OPEN_HERE = OPEN | {"/metrics", "/admin/docs", "/admin/openapi.json"}


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Every path and method that the app knows, with something in the place of its parameters."""

    def walk(found: list[BaseRoute]) -> Iterator[tuple[str, str]]:
        for route in found:
            inner = getattr(route, "routes", None) or getattr(getattr(route, "original_router", None), "routes", None)
            if inner:
                yield from walk(inner)
            elif isinstance(route, APIRoute):
                for method in sorted(route.methods or ()):
                    yield method, route.path.replace("{id}", "some").replace("{rest:path}", "more")

    yield from walk(app.routes)


async def test_every_route_is_closed_without_the_token(plane: Plane) -> None:
    """Known fault 81: deny by default, role by route."""
    known = set(routes(control_app(plane.services)))
    assert {path for _, path in known} >= {
        "/admin/keys",
        "/admin/keys/some/rotate",
        "/admin/usage",
        "/admin/calls/some",
    }
    presented = [None, "", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), SECRET_OF_THE_FILE, "*", "ÿ"]
    for token in presented:
        async with plane.client(token=None, peer=REMOTE, host="gateway.example") as client:
            headers = {} if token is None else {b"authorization": f"Bearer {token}".encode("latin-1")}
            for method, path in known:
                status = (await client.request(method, path, headers=headers)).status_code
                assert (status == 401) == (path not in OPEN), (method, path, token)


async def test_from_this_machine_only_what_tells_nothing_is_open(plane: Plane) -> None:
    async with plane.client(token=None) as client:
        for method, path in routes(control_app(plane.services)):
            status = (await client.request(method, path)).status_code
            assert (status == 401) == (path not in OPEN_HERE), (method, path)


async def test_paths_that_do_not_exist_are_closed_as_well(plane: Plane) -> None:
    async with plane.client(token=None) as client:
        for path in ("/admin", "/admin/nothing", "/", "/other", "/metrics/", "//admin/keys", "/healthz/../admin/keys"):
            assert (await client.get(path)).status_code == 401, path


@pytest.mark.parametrize(
    "authorization",
    [f"Basic {TOKEN}", TOKEN, f"Bearer{TOKEN}", "Bearer", "Bearer ", f"Token {TOKEN}", f"Bearer x {TOKEN}"],
)
async def test_only_a_bearer_token_lets_anybody_in(plane: Plane, authorization: str) -> None:
    async with plane.client(token=None) as client:
        answer = await client.get("/admin/keys", headers={"authorization": authorization})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["code"] == "invalid_api_key"


async def test_two_authorization_headers_are_none(plane: Plane) -> None:
    async with plane.client(token=None) as client:
        both = [("authorization", f"Bearer {TOKEN}"), ("authorization", "Bearer other")]
        assert (await client.get("/admin/keys", headers=both)).status_code == 401


async def test_neither_a_cookie_nor_a_parameter_lets_anybody_in(plane: Plane) -> None:
    async with plane.client(token=None) as client:
        headers = {"cookie": f"token={TOKEN}", "x-api-key": TOKEN}
        assert (await client.get("/admin/keys", params={"token": TOKEN}, headers=headers)).status_code == 401


async def test_a_key_for_calls_is_told_that_it_is_none(plane: Plane) -> None:
    async with plane.client(token=SECRET_OF_THE_FILE) as client:
        answer = await client.get("/admin/keys")
    assert answer.status_code == 401
    assert "key for calls" in answer.json()["detail"]
    assert SECRET_OF_THE_FILE not in answer.text


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:5000", "http://localhost:4000", ""]
)
async def test_a_page_of_another_site_is_refused_even_with_the_token(plane: Plane, origin: str) -> None:
    async with plane.client() as client:
        for path in ("/admin/keys", "/metrics", "/admin/docs"):
            answer = await client.get(path, headers={"origin": origin})
            assert answer.status_code == 403
            assert not [name for name in answer.headers if name.startswith("access-control")]
        preflight = {"origin": origin, "access-control-request-method": "POST"}
        answer = await client.options("/admin/keys", headers=preflight)
        assert answer.status_code == 403
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_request_caused_by_another_site_is_refused_without_an_origin_too(plane: Plane) -> None:
    async with plane.client(token=None) as client:
        embedded = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
        assert (await client.get("/metrics", headers=embedded)).status_code == 403
        followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
        assert (await client.get("/admin/docs", headers=followed)).status_code == 200


async def test_a_page_of_our_own_may_ask_with_the_token(plane: Plane) -> None:
    async with plane.client() as client:
        assert (await client.get("/admin/keys", headers={"origin": "http://127.0.0.1:4000"})).status_code == 200


@pytest.mark.parametrize(
    ("peer", "host", "headers", "open_"),
    [
        (LOCAL, "127.0.0.1:4000", {}, True),
        (LOCAL, "localhost:4000", {}, True),
        (LOCAL, "LOCALHOST", {}, True),
        ("::1", "[::1]:4000", {}, True),
        ("::ffff:127.0.0.1", "127.0.0.1", {}, True),
        ("127.8.9.1", "127.0.0.1", {}, True),
        (REMOTE, "127.0.0.1:4000", {}, False),
        (LOCAL, "gateway.example", {}, False),
        (LOCAL, "127.0.0.1.evil.example", {}, False),
        (LOCAL, "localhost.evil.example", {}, False),
        (LOCAL, "127.0.0.1", {"x-forwarded-for": REMOTE}, False),
        (LOCAL, "127.0.0.1", {"forwarded": "for=1.2.3.4"}, False),
        (LOCAL, "127.0.0.1", {"x-forwarded-host": "x"}, False),
        ("testclient", "127.0.0.1", {}, False),
    ],
)
async def test_metrics_are_open_on_this_machine_alone(
    plane: Plane, peer: str, host: str, headers: dict[str, str], open_: bool
) -> None:
    async with plane.client(token=None, peer=peer, host=host) as client:
        assert (await client.get("/metrics", headers=headers)).status_code == (200 if open_ else 401)
    async with plane.client(token=None, peer=peer, host=host, metrics_open=True) as client:
        assert (await client.get("/metrics", headers=headers)).status_code == 200
        assert (await client.get("/admin/keys", headers=headers)).status_code == 401
    async with plane.client(peer=peer, host=host) as client:
        assert (await client.get("/metrics", headers=headers)).status_code == 200


async def test_a_strange_host_is_not_this_machine(plane: Plane) -> None:
    async with plane.client(token=None) as client:
        for host in ("[::1", "", "127.0.0.1 evil", "[]", "\x00"):
            assert (await client.get("/metrics", headers={"host": host})).status_code == 401


async def test_no_answer_is_kept_or_guessed_at(admin: httpx.AsyncClient) -> None:
    for path in ("/admin/keys", "/admin/nothing", "/healthz", "/metrics"):
        headers = (await admin.get(path)).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
