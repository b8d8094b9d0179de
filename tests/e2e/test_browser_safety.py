"""A web page in a browser must not be able to spend: requests as browsers send them, against a keyless gateway.

The page may stand anywhere; the browser runs on the gateway's own machine, so peer and address are loopback.
"""

import json

import pytest

from tests.e2e.conftest import CI_KEY
from tests.e2e.gateway import Served
from tests.e2e.raw import Answers, body_for
from tests.e2e.upstream import Upstream, answers, completion, event, streams, whole

EVIL = "https://evil.example"
FRIEND = "https://app.example"


def ask(
    served: Served,
    model: str,
    *fields: str,
    method: str = "POST",
    path: str = "/v1/chat/completions",
    stream: bool = False,
) -> tuple[int, dict[str, str], bytes]:
    """One request with exactly these fields; `host` is the gateway's own unless they name one."""
    body = b"" if method in ("GET", "OPTIONS") else body_for(model, stream=stream)
    own = () if any(field.startswith("host:") for field in fields) else (f"host: 127.0.0.1:{served.port}",)
    lines = [f"{method} {path} HTTP/1.1", *own, *fields, f"content-length: {len(body)}"]
    with served.connect() as line:
        line.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        found = Answers(line)
        status, headers = found.head()
        size = int(headers.get("content-length", "0"))
        return status, headers, found.exactly(size)


def allows_nobody(headers: dict[str, str]) -> bool:
    return not any(name.startswith("access-control-allow") for name in headers)


FOREIGN = {
    "a form or a fetch without preflight": (
        f"origin: {EVIL}", "content-type: text/plain", "sec-fetch-site: cross-site", "sec-fetch-mode: no-cors",
    ),
    "a fetch of JSON, had a preflight been passed": (f"origin: {EVIL}", "content-type: application/json"),
    "an old browser without fetch metadata": (f"origin: {EVIL}", "content-type: text/plain"),
    "a sandboxed frame or a local file": ("origin: null", "content-type: text/plain"),
    "another port of this machine": ("origin: http://localhost:3000", "content-type: text/plain"),
    "the same host by https": ("origin: https://127.0.0.1", "content-type: text/plain"),
    "a page of the same site": ("sec-fetch-site: same-site", "content-type: text/plain"),
    "a page that hides its origin": ("sec-fetch-site: cross-site", "content-type: text/plain"),
    "a name that looks local": ("origin: http://localhost.evil.example", "content-type: text/plain"),
    "an origin with our friend in it": (f"origin: {FRIEND}.evil.example", "content-type: text/plain"),
    "our friend without TLS": ("origin: http://app.example", "content-type: text/plain"),
}  # fmt: skip


@pytest.mark.parametrize("page", FOREIGN)
def test_a_foreign_page_cannot_spend(page: str, gateway: Served, upstream: Upstream) -> None:
    upstream.plays("browser-foreign", answers(whole(completion())))
    for stream in (False, True):
        status, headers, body = ask(gateway, "up/browser-foreign", *FOREIGN[page], stream=stream)
        assert (status, json.loads(body)["error"]["code"]) == (401, "invalid_api_key")
        assert allows_nobody(headers)
    assert upstream.asked("browser-foreign") == []


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:4000", "localhost.evil.example", "127.0.0.1.evil.example", "localhost.", "",
     "127.0.0.1@evil.example", "evil.example#127.0.0.1", "[::ffff:10.0.0.1]", "10.0.0.1"],
)  # fmt: skip
def test_a_name_that_was_rebound_to_this_machine_cannot_spend(host: str, gateway: Served, upstream: Upstream) -> None:
    """DNS rebinding: for the browser it is the page's own server, so `Origin` and fetch metadata are innocent."""
    upstream.plays("browser-rebound", answers(whole(completion())))
    innocent = (f"host: {host}", f"origin: http://{host}", "sec-fetch-site: same-origin", "content-type: text/plain")
    for fields in (innocent, innocent[:1]):
        status, headers, _ = ask(gateway, "up/browser-rebound", *fields)
        assert status in (400, 401)
        assert allows_nobody(headers)
    assert upstream.asked("browser-rebound") == []


@pytest.mark.parametrize(
    "field",
    ["forwarded: for=10.0.0.1", "x-forwarded-for: 10.0.0.1", "x-forwarded-host: a.example", "x-real-ip: 10.0.0.1"],
)
def test_what_a_proxy_passed_on_is_not_local(field: str, gateway: Served, upstream: Upstream) -> None:
    upstream.plays("browser-proxied", answers(whole(completion())))
    assert ask(gateway, "up/browser-proxied", field)[0] == 401
    assert upstream.asked("browser-proxied") == []


def test_a_foreign_page_is_not_even_told_the_models(gateway: Served) -> None:
    for fields in ((f"origin: {EVIL}",), ("sec-fetch-site: cross-site", "sec-fetch-mode: no-cors")):
        status, headers, body = ask(gateway, "", *fields, method="GET", path="/v1/models")
        assert status == 401
        assert b"spare" not in body
        assert allows_nobody(headers)


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/models", "/v1/embeddings", "/admin/keys", "/admin/calls", "/"]
)
def test_a_foreign_preflight_gets_no_permission(path: str, gateway: Served) -> None:
    status, headers, _ = ask(
        gateway, "", f"origin: {EVIL}", "access-control-request-method: POST",
        "access-control-request-headers: authorization, content-type", method="OPTIONS", path=path,
    )  # fmt: skip
    assert status >= 400
    assert allows_nobody(headers)


def test_a_page_that_was_allowed_works(gateway: Served, upstream: Upstream) -> None:
    """Preflight, whole, streamed and refused: it can read all of them, and nobody else can."""
    upstream.plays("browser-friend", answers(whole(completion())))
    upstream.plays("browser-friend-stream", streams(event("four", finish="stop")))
    origin = (f"origin: {FRIEND}", "sec-fetch-site: cross-site")
    preflight = (*origin, "access-control-request-method: POST", "access-control-request-headers: authorization")
    status, headers, _ = ask(gateway, "", *preflight, method="OPTIONS")
    assert status == 204
    assert "POST" in headers["access-control-allow-methods"]
    assert "authorization" in headers["access-control-allow-headers"]
    replies = [headers]
    for expected, model, stream in (
        (200, "up/browser-friend", False),
        (200, "up/browser-friend-stream", True),
        (404, "nobody/knows", False),
    ):
        status, headers, _ = ask(gateway, model, *origin, stream=stream)
        assert status == expected
        replies.append(headers)
    for headers in replies:
        assert headers["access-control-allow-origin"] == FRIEND
        assert headers["vary"].lower() == "origin"
        assert "access-control-allow-credentials" not in headers


def test_a_program_on_this_machine_needs_nothing(gateway: Served, upstream: Upstream) -> None:
    upstream.plays("browser-program", answers(whole(completion())))
    for host in (f"localhost:{gateway.port}", "127.0.0.1", "[::1]", f"app.localhost:{gateway.port}"):
        assert ask(gateway, "up/browser-program", f"host: {host}")[0] == 200


def test_our_own_page_may_call(gateway: Served, upstream: Upstream) -> None:
    """Served from the very address that is asked."""
    upstream.plays("browser-own", answers(whole(completion())))
    own = f"127.0.0.1:{gateway.port}"
    assert ask(gateway, "up/browser-own", f"origin: http://{own}", "sec-fetch-site: same-origin")[0] == 200


def test_a_key_is_enough_from_anywhere(keyed: Served, upstream: Upstream) -> None:
    """A page that holds a key may spend with it: no browser adds one by itself. Without one it cannot."""
    upstream.plays("allowed", answers(whole(completion())))
    status, headers, _ = ask(keyed, "up/allowed", f"origin: {EVIL}", f"authorization: Bearer {CI_KEY}")
    assert status == 200
    assert allows_nobody(headers), "it may spend its own money, but read nothing here"
    assert ask(keyed, "up/allowed", f"origin: {EVIL}")[0] == 401
    assert ask(keyed, "up/allowed")[0] == 401


def test_a_foreign_page_cannot_use_the_control_plane(gateway: Served) -> None:
    """Known fault 81: not even with the token, which a page could have been tricked into sending."""
    token = gateway.admin.headers["authorization"]
    for path in ("/admin/keys", "/admin/calls", "/admin/usage", "/metrics"):
        status, headers, _ = ask(gateway, "", f"origin: {EVIL}", f"authorization: {token}", method="GET", path=path)
        assert status == 403
        assert allows_nobody(headers)
