"""The public paths under /v1, driven as an ASGI server drives them."""

import asyncio
import json
import tracemalloc
from typing import Any

import pytest

from gateway.core.errors import UpstreamFault
from gateway.proxy.endpoints import DataPlane
from tests.fakes.upstream import HANG, ScriptedAnswer
from tests.proxy.rig import DONE, SECRET, A, Rig, alias, chat, event, rig, stream, whole

ORIGIN = "https://app.example"


class Client:
    """One request of a client: what it sends, what it gets, and whether it leaves."""

    def __init__(self, made: Rig, path: str = "/v1/chat/completions", method: str = "POST", **headers: str) -> None:
        fields = {"host": "localhost", "authorization": f"Bearer {SECRET}", **headers}
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": path,
            "client": ("127.0.0.1", 5),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items() if value],
        }
        self.rejected: list[str] = []
        self.app = DataPlane(
            made.pipeline,
            made.authenticate,
            made.route,
            made.clock,
            lambda reason, peer: self.rejected.append(reason),
            frozenset({ORIGIN}),
        )
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.got_some = asyncio.Event()

    def sends(self, *parts: bytes) -> "Client":
        for n, part in enumerate(parts):
            self.incoming.put_nowait({"type": "http.request", "body": part, "more_body": n < len(parts) - 1})
        return self

    def leaves(self) -> None:
        self.incoming.put_nowait({"type": "http.disconnect"})

    async def run(self) -> "Client":
        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                self.body += message.get("body", b"")
                self.got_some.set()

        await self.app(self.scope, self.incoming.get, send)
        return self

    @property
    def error(self) -> str:
        code: str = json.loads(self.body)["error"]["code"]
        return code


@pytest.mark.anyio
@pytest.mark.parametrize("parts", [[chat()], [chat()[:9], chat()[9:20], chat()[20:]], [chat(), b""]])
async def test_a_call_in_an_answer_out(parts: list[bytes]) -> None:
    made = rig(whole())
    client = await Client(made).sends(*parts).run()
    assert (client.status, client.headers["x-tollkeeper-cost-usd"]) == (200, "0.003000000")
    assert made.record.end == "completed"


@pytest.mark.anyio
async def test_a_stream_leaves_in_its_own_pieces() -> None:
    made = rig(stream(event("a"), event("b", finish="stop"), DONE))
    client = await Client(made).sends(chat(stream=True)).run()
    assert client.body == event("a") + event("b", finish="stop") + DONE
    assert client.headers["cache-control"] == "no-cache"


@pytest.mark.anyio
@pytest.mark.parametrize("pieces", [[HANG], [event("a"), HANG]])
async def test_a_client_that_leaves_ends_its_call(pieces: list[Any]) -> None:
    """Known faults 1, 2."""
    answer = stream(*pieces)
    made = rig(answer)
    client = Client(made).sends(chat(stream=True))
    running = asyncio.ensure_future(client.run())
    await asyncio.wait_for(answer.waiting.wait(), 5)
    client.leaves()
    await asyncio.wait_for(running, 5)
    await made.settle.finish()
    assert answer.closed
    assert made.record.end == "cut_by_client"


@pytest.mark.anyio
async def test_a_server_that_goes_down_interrupts_its_calls() -> None:
    answer = stream(event("a"), HANG)
    made = rig(answer)
    client = Client(made).sends(chat(stream=True))
    running = asyncio.ensure_future(client.run())
    await asyncio.wait_for(answer.waiting.wait(), 5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await made.settle.finish()
    assert (made.record.end, answer.closed) == ("interrupted", True)


@pytest.mark.anyio
@pytest.mark.parametrize("stated", [len(chat()), len(chat()) - 5, 900])
async def test_the_body_is_what_came_whatever_length_is_stated(stated: int) -> None:
    """Room is made for what is stated; a server may let through another one."""
    made = rig(whole())
    client = await Client(made, content_length=str(stated)).sends(chat()[:9], chat()[9:]).run()
    assert (client.status, b"".join(made.upstream.asked[0].body)) == (200, chat().replace(b'"a/m"', b'"m"'))


@pytest.mark.anyio
async def test_a_large_body_is_held_once_though_its_model_has_another_name() -> None:
    """From the server's parts to the upstream's: what is sent on is the client's own bytes."""
    body = chat("fast", text="some words\n" * 100_000)
    size, step = len(body), 250_000
    made = rig(whole(), whole(), aliases=alias("fast", (A, "m")), max_body=2 * size)
    clients = [
        Client(made, content_length=str(size)).sends(*(body[at : at + step] for at in range(0, size, step)))
        for _ in range(2)
    ]
    await clients[0].run()  # what the first call needs once is no body's
    made.upstream.asked.clear()
    tracemalloc.start()
    try:
        await clients[1].run()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert b"".join(made.upstream.asked[0].body) == body.replace(b'"fast"', b'"m"')
    assert size < peak < 1.2 * size


@pytest.mark.anyio
async def test_a_client_that_leaves_in_the_middle_of_its_body() -> None:
    made = rig()
    client = Client(made)
    client.incoming.put_nowait({"type": "http.request", "body": b"{", "more_body": True})
    client.leaves()
    await client.run()
    await made.settle.finish()
    assert (client.status, made.record.end) == (0, "cut_by_client")


@pytest.mark.anyio
@pytest.mark.parametrize(("parts", "headers"), [([b"x" * 600] * 3, {}), ([b""], {"content_length": "5000"})])
async def test_a_body_that_is_too_large(parts: list[bytes], headers: dict[str, str]) -> None:
    made = rig(max_body=1000)
    client = await Client(made, **headers).sends(*parts).run()
    assert (client.status, client.error, client.headers["x-should-retry"]) == (413, "request_too_large", "false")
    assert made.record.end == "refused"


@pytest.mark.anyio
async def test_who_is_not_recognised_is_counted_and_not_read() -> None:
    made = rig()
    client = await Client(made, authorization="Bearer tk-wrong").run()
    assert (client.status, client.error, client.rejected) == (401, "invalid_api_key", ["invalid_api_key"])
    assert "x-tollkeeper-call-id" not in client.headers


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "method", "status", "code"),
    [
        ("/v1/nothing", "POST", 404, "unknown_url"),
        ("/v1", "GET", 404, "unknown_url"),
        ("/v1/chat/completions/", "POST", 404, "unknown_url"),
        ("/v1/chat/completions", "GET", 405, "method_not_allowed"),
        ("/v1/models", "POST", 405, "method_not_allowed"),
        ("/v1/responses", "POST", 501, "not_in_this_version"),
        ("/v1/responses/r1/cancel", "POST", 501, "not_in_this_version"),
        ("/v1/messages", "POST", 501, "not_in_this_version"),
        ("/v1/messages/count_tokens", "POST", 501, "not_in_this_version"),
        ("/v1/files", "GET", 501, "not_in_this_version"),
        ("/v1/batches", "POST", 501, "not_in_this_version"),
        ("/v1/models/none", "GET", 404, "model_not_found"),
    ],
)
async def test_other_paths_are_refused_and_nothing_is_forwarded(path: str, method: str, status: int, code: str) -> None:
    made = rig()
    client = await Client(made, path, method).run()
    assert (client.status, client.error) == (status, code)
    assert made.upstream.asked == []


@pytest.mark.anyio
async def test_the_list_of_models_is_what_the_key_may_use() -> None:
    made = rig(aliases=alias("fast"))
    client = await Client(made, "/v1/models", "GET").run()
    assert json.loads(client.body) == {
        "object": "list",
        "data": [{"id": "fast", "object": "model", "created": 0, "owned_by": "tollkeeper"}],
    }
    one = await Client(made, "/v1/models/fast", "GET").run()
    assert json.loads(one.body)["id"] == "fast"
    stranger = await Client(made, "/v1/models", "GET", authorization="Bearer tk-wrong").run()
    assert (stranger.status, stranger.rejected) == (401, ["invalid_api_key"])


@pytest.mark.anyio
async def test_pages_of_allowed_origins_may_call_others_get_no_leave() -> None:
    made = rig(whole())
    asked = await Client(made, method="OPTIONS", origin=ORIGIN).run()
    assert (asked.status, asked.headers["access-control-allow-origin"]) == (204, ORIGIN)
    answered = await Client(made, origin=ORIGIN).sends(chat()).run()
    assert answered.headers["access-control-allow-origin"] == ORIGIN
    stranger = await Client(made, method="OPTIONS", origin="https://evil.example").run()
    assert (stranger.status, "access-control-allow-origin" in stranger.headers) == (405, False)


@pytest.mark.anyio
async def test_a_long_answer_that_breaks_is_not_ended_well() -> None:
    broken = ScriptedAnswer(pieces=[b"x" * 2000, UpstreamFault("broke", uncertain=True)])
    made = rig(broken, buffer_answers=1000)
    client = Client(made)
    ended: list[bool] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            ended.append(not message.get("more_body", False))

    client.sends(chat())
    await client.app(client.scope, client.incoming.get, send)
    assert ended == [False]
    assert made.record.end == "cut_by_upstream"
