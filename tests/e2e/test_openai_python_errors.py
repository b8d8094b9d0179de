"""The official Python SDK when things go wrong: the right exception, the right code, no call made twice for nothing.

Known faults 70 and 72: every error and every short circuit is met with the real SDK, not with curl.
"""

from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import anyio
import openai
import pytest

from tests.e2e.conftest import CI_KEY, PROVIDER_KEY
from tests.e2e.gateway import Served, until
from tests.e2e.upstream import (
    DONE,
    EVENTS,
    PATIENCE,
    Line,
    Request,
    Upstream,
    answers,
    chunk,
    completion,
    event,
    streams,
    whole,
)

ASK: Any = [{"role": "user", "content": "What is the toll?"}]
Connect = Callable[..., openai.OpenAI]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes SDK clients, and closes them after the test."""
    made: list[openai.OpenAI] = []

    def make(served: Served, key: str = "none", **more: Any) -> openai.OpenAI:
        made.append(openai.OpenAI(base_url=served.v1, api_key=key, **{"max_retries": 0, "timeout": PATIENCE, **more}))
        return made[-1]

    yield make
    for sdk in made:
        sdk.close()


def ask(sdk: openai.OpenAI, model: Any, **more: Any) -> Any:
    return sdk.chat.completions.create(model=model, messages=ASK, **more)


def code_of(error: openai.APIError) -> Any:
    """OpenAI's shape in full: an error without one of these is not its shape."""
    assert error.message
    assert isinstance(error.body, dict)
    assert set(error.body) == {"message", "type", "param", "code"}
    return error.code


# what we refuse ourselves

REFUSED: dict[str, tuple[Callable[[openai.OpenAI], Any], type[openai.APIStatusError], int, str]] = {
    "unknown model": (lambda sdk: ask(sdk, "no-such-model"), openai.NotFoundError, 404, "model_not_found"),
    "no model": (lambda sdk: ask(sdk, ""), openai.BadRequestError, 400, "invalid_request"),
    "wrong type of model": (lambda sdk: ask(sdk, 5), openai.BadRequestError, 400, "invalid_request"),
    "a null model": (lambda sdk: ask(sdk, None), openai.BadRequestError, 400, "invalid_request"),
    "too large": (lambda sdk: ask(sdk, "up/x", user="u" * 2**21), openai.APIStatusError, 413, "request_too_large"),
    "no JSON": (
        lambda sdk: sdk.post("/chat/completions", cast_to=object, content=b'{"model": '),
        openai.BadRequestError, 400, "invalid_request",
    ),
    "not an object": (
        lambda sdk: sdk.post("/chat/completions", cast_to=object, content=b"[]"),
        openai.BadRequestError, 400, "invalid_request",
    ),
    "responses": (
        lambda sdk: sdk.responses.create(model="up/x", input="hi"),
        openai.InternalServerError, 501, "not_in_this_version",
    ),
    "files": (lambda sdk: sdk.files.list(), openai.InternalServerError, 501, "not_in_this_version"),
    "batches": (lambda sdk: sdk.batches.list(), openai.InternalServerError, 501, "not_in_this_version"),
    "images": (lambda sdk: sdk.images.generate(prompt="a gate"), openai.NotFoundError, 404, "unknown_url"),
    "cache controls": (
        lambda sdk: ask(sdk, "up/x", extra_headers={"x-tollkeeper-cache": "only"}),
        openai.InternalServerError, 501, "not_in_this_version",
    ),
    "caps": (
        lambda sdk: ask(sdk, "up/x", extra_headers={"x-tollkeeper-max-cost-usd": "0.01"}),
        openai.PermissionDeniedError, 403, "price_unknown",  # for nothing limits the answer
    ),
    "bad tags": (
        lambda sdk: ask(sdk, "up/x", extra_headers={"x-tollkeeper-tags": "no equals sign"}),
        openai.BadRequestError, 400, "invalid_request",
    ),
    "a loop": (
        lambda sdk: ask(sdk, "up/x", extra_headers={"x-tollkeeper-hop": "1"}),
        openai.InternalServerError, 508, "loop_detected",
    ),
}  # fmt: skip


@pytest.mark.parametrize("why", REFUSED)
def test_a_refusal(why: str, gateway: Served, upstream: Upstream, connect: Connect) -> None:
    """Even with retries allowed there is one request: `x-should-retry: false`."""
    question, kind, status, code = REFUSED[why]
    before = len(upstream.requests)
    begun = monotonic()
    with pytest.raises(kind) as raised:
        question(connect(gateway, max_retries=2))
    assert (raised.value.status_code, code_of(raised.value)) == (status, code)
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert monotonic() - begun < 5, "a retry would have waited, and this waited"
    asked = [request for request in upstream.requests[before:] if request.method == "POST"]
    assert asked == []


def test_a_bad_key(keyed: Served, upstream: Upstream, connect: Connect) -> None:
    """Known fault 81: without a key not even the models are told; there is no row, for nobody knows whose it was."""
    before = len(upstream.asked("allowed")), len(keyed.calls())
    for key in ("tk-unknown", "sk-of-somebody", CI_KEY[:-1], CI_KEY + "x", PROVIDER_KEY):
        sdk = connect(keyed, key, max_retries=2)
        for question in (lambda sdk=sdk: ask(sdk, "up/allowed"), sdk.models.list):
            with pytest.raises(openai.AuthenticationError) as raised:
                question()
            assert code_of(raised.value) == "invalid_api_key"
            assert raised.value.response.headers["x-should-retry"] == "false"
    assert (len(upstream.asked("allowed")), len(keyed.calls())) == before


def test_a_model_that_the_key_may_not_use(keyed: Served, upstream: Upstream, connect: Connect) -> None:
    sdk = connect(keyed, CI_KEY, max_retries=2)
    with pytest.raises(openai.PermissionDeniedError) as raised:
        ask(sdk, "up/forbidden")
    assert code_of(raised.value) == "model_not_allowed"
    assert upstream.asked("forbidden") == []
    row = keyed.row(model="up/forbidden")
    assert (row["end"], row["key"], row["team"], row["attempts"]) == ("refused", "ci", "platform", [])


def test_our_key_stays_here_and_the_providers_key_there(keyed: Served, upstream: Upstream, connect: Connect) -> None:
    """Known fault 79: nowhere in what the provider gets, the client gets or the log keeps."""
    upstream.plays("gone", answers(whole({"error": {"message": "no such key"}}, "401 Unauthorized")))
    with pytest.raises(openai.AuthenticationError):
        ask(connect(keyed, CI_KEY), "up/gone")
    (asked,) = upstream.asked("gone")
    assert asked.header("authorization") == f"Bearer {PROVIDER_KEY}"
    assert CI_KEY not in str(asked)
    assert CI_KEY not in keyed.log
    assert PROVIDER_KEY not in keyed.log
    row = keyed.row(model="up/gone")
    assert (row["end"], row["status"], row["cost_usd"]) == ("failed", 401, "0.000000000")


# what the upstream does

SHAPES: dict[str, Any] = {
    "object": {"error": {"message": "no", "type": "bad", "param": None, "code": "theirs"}},
    "text": {"error": "Unauthorized"},
    "detail": {"detail": [{"loc": ["body"], "msg": "Field required"}]},
    "array": [1, 2],
    "plain": b"Internal Server Error",
    "nothing": b"",
}
CLASSES: dict[str, type[openai.APIStatusError]] = {
    "400 Bad Request": openai.BadRequestError,
    "401 Unauthorized": openai.AuthenticationError,
    "403 Forbidden": openai.PermissionDeniedError,
    "404 Not Found": openai.NotFoundError,
    "409 Conflict": openai.ConflictError,
    "422 Unprocessable Entity": openai.UnprocessableEntityError,
    "429 Too Many Requests": openai.RateLimitError,
    "500 Internal Server Error": openai.InternalServerError,
    "503 Service Unavailable": openai.InternalServerError,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("status", CLASSES)
def test_an_upstream_error(status: str, shape: str, gateway: Served, upstream: Upstream, connect: Connect) -> None:
    """Whatever its shape: the same class as without a gateway, and the body as it came."""
    number, body = int(status[:3]), SHAPES[shape]
    model = upstream.plays(f"py-error-{number}-{shape}", answers(whole(body, status)))
    with pytest.raises(CLASSES[status]) as raised:
        ask(connect(gateway), f"up/{model}", stream=shape == "object")
    assert raised.value.status_code == number
    assert len(upstream.asked(model)) == 1
    if shape == "object":
        assert code_of(raised.value) == "theirs"
    row = gateway.row(model=f"up/{model}")
    assert (row["end"], row["status"], row["cost_usd"]) == ("failed", number, "0.000000000")
    assert row["error"].startswith(f"{number}: ")


def test_an_upstreams_advice_on_retries_is_followed(upstream: Upstream, gateway: Served, connect: Connect) -> None:
    """The SDK counts the tries: each of them is a call with a row of its own."""
    crowded = whole(SHAPES["object"], "429 Too Many Requests", "retry-after-ms: 20\r\n")
    upstream.plays("py-crowded", answers(crowded, crowded, whole(completion())))
    assert ask(connect(gateway, max_retries=2), "up/py-crowded").choices
    assert len(upstream.asked("py-crowded")) == 3
    rows = gateway.rows(3, model="up/py-crowded")
    assert [row["end"] for row in rows] == ["completed", "failed", "failed"]


def test_an_upstream_that_says_no_retry_gets_none(upstream: Upstream, gateway: Served, connect: Connect) -> None:
    failed = whole(SHAPES["object"], "500 Internal Server Error", "x-should-retry: false\r\n")
    upstream.plays("py-final", answers(failed))
    with pytest.raises(openai.InternalServerError):
        ask(connect(gateway, max_retries=2), "up/py-final")
    assert len(upstream.asked("py-final")) == 1


def test_a_dead_upstream_may_be_tried_again(gateway: Served, connect: Connect) -> None:
    """Nothing was dispatched, so nothing was billed: `x-should-retry: true`, and the SDK does."""
    with pytest.raises(openai.InternalServerError) as raised:
        ask(connect(gateway, max_retries=1), "dead/py-dead")
    assert (raised.value.status_code, code_of(raised.value)) == (502, "upstream_error")
    assert raised.value.response.headers["x-should-retry"] == "true"
    rows = gateway.rows(2, model="dead/py-dead")
    assert {(row["end"], row["cost_usd"], row["status"]) for row in rows} == {("failed", "0.000000000", 502)}


def test_a_dead_first_target_is_passed_over(gateway: Served, upstream: Upstream, connect: Connect) -> None:
    upstream.plays("spare", answers(whole(completion())))
    assert ask(connect(gateway), "spare").choices[0].message.content == "four pennies"
    row = gateway.row(model="spare")
    assert [(one["target"], one["end"]) for one in row["attempts"]] == [
        ("dead/none", "failed"),
        ("up/spare", "completed"),
    ]
    assert (row["target"], row["end"], row["usage_basis"]) == ("up/spare", "completed", "provider")


def broken(request: Request, line: Line) -> None:
    """Reads the whole question, and closes without a word."""
    line.close()


def torn(request: Request, line: Line) -> None:
    line.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{")
    line.close()


@pytest.mark.parametrize("script", [broken, torn])
def test_an_answer_that_may_have_been_billed_is_not_asked_for_again(
    script: Any, gateway: Served, upstream: Upstream, connect: Connect
) -> None:
    """Known fault 40: nobody knows what was billed, so neither we nor the SDK try again."""
    model = upstream.plays(f"py-{script.__name__}", script)
    with pytest.raises(openai.InternalServerError) as raised:
        ask(connect(gateway, max_retries=2), f"up/{model}")
    assert (raised.value.status_code, code_of(raised.value)) == (502, "upstream_error")
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert len(upstream.asked(model)) == 1
    row = gateway.row(model=f"up/{model}")
    assert (row["end"], row["usage_basis"]) == ("failed", "estimated")


@pytest.mark.parametrize("body", [b"null", b"", b"  "])
def test_an_answer_with_nothing_in_it_is_an_error(
    body: bytes, gateway: Served, upstream: Upstream, connect: Connect
) -> None:
    """Known fault 71: status 200 and `null`."""
    model = upstream.plays(f"py-nothing-{body.hex()}", answers(whole(body)))
    with pytest.raises(openai.InternalServerError) as raised:
        ask(connect(gateway, max_retries=2), f"up/{model}")
    assert code_of(raised.value) == "upstream_error"
    assert gateway.row(model=f"up/{model}")["end"] == "failed"


def test_an_error_in_the_middle_of_a_stream(gateway: Served, upstream: Upstream, connect: Connect) -> None:
    """One error event on which the SDK raises, then the end, without `[DONE]`."""

    def script(_: Request, line: Line) -> None:
        line.send(EVENTS, chunk(event("four")), chunk(event(" pen")))
        line.reset()

    upstream.plays("py-mid", script)
    said: list[str] = []
    with pytest.raises(openai.APIError) as raised, ask(connect(gateway), "up/py-mid", stream=True) as stream:
        said.extend(one.choices[0].delta.content for one in stream)
    assert said == ["four", " pen"]
    assert code_of(raised.value) == "upstream_error"
    row = gateway.row(model="up/py-mid")
    assert (row["end"], row["usage_basis"], row["status"]) == ("cut_by_upstream", "estimated", 200)


def test_an_error_event_of_the_upstream(gateway: Served, upstream: Upstream, connect: Connect) -> None:
    theirs = b'data: {"error": {"message": "overloaded", "type": "server_error", "param": null, "code": "busy"}}\n\n'
    upstream.plays("py-their-event", streams(event("four"), theirs, DONE))
    with (
        pytest.raises(openai.APIError, match="overloaded"),
        ask(connect(gateway), "up/py-their-event", stream=True) as stream,
    ):
        list(stream)
    row = gateway.row(model="up/py-their-event")
    assert (row["end"], row["error"]) == ("cut_by_upstream", "busy: overloaded")


# time


def silent(_: Request, line: Line) -> None:
    line.wait_until_left()


def stalled(_: Request, line: Line) -> None:
    line.send(EVENTS, chunk(event("four")))
    line.wait_until_left()


def test_no_first_byte_is_a_timeout(gateway: Served, upstream: Upstream, connect: Connect) -> None:
    upstream.plays("py-silent", silent)
    with pytest.raises(openai.InternalServerError) as raised:
        ask(connect(gateway, max_retries=2), "up/py-silent", stream=True)
    assert (raised.value.status_code, code_of(raised.value)) == (504, "upstream_timeout")
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert len(upstream.asked("py-silent")) == 1
    assert gateway.row(model="up/py-silent")["end"] == "failed"


def test_a_stream_that_stalls_is_a_timeout(gateway: Served, upstream: Upstream, connect: Connect) -> None:
    upstream.plays("py-stalled", stalled)
    with (
        pytest.raises(openai.APIError) as raised,
        ask(connect(gateway), "up/py-stalled", stream=True) as stream,
    ):
        list(stream)
    assert code_of(raised.value) == "upstream_timeout"
    assert gateway.row(model="up/py-stalled")["end"] == "cut_by_upstream"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.timed
def test_a_client_that_gives_up_cancels_the_upstream(
    stream: bool, gateway: Served, upstream: Upstream, connect: Connect
) -> None:
    """Known fault 1: the row is there within two seconds, and says what is known."""
    left: list[float] = []
    model = upstream.plays(f"py-impatient-{stream}", lambda _, line: left.append(line.wait_until_left()))
    with pytest.raises(openai.APITimeoutError):
        ask(connect(gateway, timeout=0.4), f"up/{model}", stream=stream)
    row = gateway.row(within=2, model=f"up/{model}")
    assert (row["end"], row["usage_basis"]) == ("cut_by_client", "estimated")
    assert row["usage"]["output"] is None
    assert until(lambda: left, "the upstream's line to close", within=1)[0] < 1.5


@pytest.mark.timed
def test_a_stream_that_is_left_is_billed_for_what_came(gateway: Served, upstream: Upstream, connect: Connect) -> None:
    """Known faults 2 and 13: hanging up is not a way to spend for free."""
    upstream.plays("py-left", stalled)
    with ask(connect(gateway), "up/py-left", stream=True) as stream:
        assert next(iter(stream)).choices[0].delta.content == "four"
    row = gateway.row(within=2, model="up/py-left")
    assert (row["end"], row["status"], row["usage_basis"]) == ("cut_by_client", 200, "estimated")
    assert row["usage"]["output"] == 1
    assert row["cost_usd"] is not None


@pytest.mark.anyio
@pytest.mark.timed
async def test_a_cancelled_task_cancels_its_call(gateway: Served, upstream: Upstream) -> None:
    upstream.plays("py-task", stalled)
    async with openai.AsyncOpenAI(base_url=gateway.v1, api_key="none", max_retries=0) as sdk:
        with anyio.move_on_after(0.5) as scope:
            async with await sdk.chat.completions.create(model="up/py-task", messages=ASK, stream=True) as stream:
                async for _ in stream:
                    pass
        assert scope.cancelled_caught
        row = await anyio.to_thread.run_sync(lambda: gateway.row(within=2, model="up/py-task"))
    assert row["end"] == "cut_by_client"


@pytest.mark.timed
def test_the_end_of_a_stream_needs_no_end_of_the_line(upstream: Upstream, gateway: Served, connect: Connect) -> None:
    """Known fault 59: the client leaves at `[DONE]`; the row says completed all the same."""

    def script(_: Request, line: Line) -> None:
        line.send(EVENTS, chunk(event("four", finish="stop")), chunk(DONE))
        line.wait_until_left()

    upstream.plays("py-done", script)
    with ask(connect(gateway), "up/py-done", stream=True) as stream:
        assert len(list(stream)) == 1
    assert gateway.row(within=2, model="up/py-done")["end"] == "completed"
