"""The official Node SDK with only its base URL changed: all its scenarios in one run, judged one by one."""

import json
import subprocess
from base64 import b64encode
from struct import pack
from typing import Any

import pytest

from tests.backends.installed import NODE_PROJECT, node_packages
from tests.e2e.conftest import CI_KEY
from tests.e2e.gateway import Served, until
from tests.e2e.upstream import (
    COST,
    DONE,
    EVENTS,
    USAGE,
    Line,
    Request,
    Upstream,
    answers,
    chunk,
    completion,
    event,
    hello,
    streams,
    whole,
)

Came = dict[str, Any]
NUMBERS = [0.25, -0.5, 0.75]
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_toll", "arguments": '{"wheels": 2}'}}
THEIRS = {"error": {"message": "no", "type": "bad", "param": None, "code": "theirs"}}


def embedding(request: Request, line: Line) -> None:
    """The Node SDK asks for base64 by itself, too."""
    as_floats = request.json.get("encoding_format") == "float"
    vector: Any = NUMBERS if as_floats else b64encode(pack("<3f", *NUMBERS)).decode()
    data = [{"object": "embedding", "index": 0, "embedding": vector}]
    line.send(whole({"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": 5, "total_tokens": 5}}))


def stalled(_: Request, line: Line) -> None:
    line.send(EVENTS, chunk(event("four")))
    line.wait_until_left()


def silent(_: Request, line: Line) -> None:
    line.wait_until_left()


def cut(_: Request, line: Line) -> None:
    line.send(EVENTS, chunk(event("four")))
    line.reset()


def broken(_: Request, line: Line) -> None:
    line.close()


def prepare(upstream: Upstream) -> None:
    """Everything that the scenarios ask for."""
    old = {"id": "c", "object": "text_completion", "created": 1, "model": "m", "usage": USAGE,
           "choices": [{"index": 0, "text": "goes up", "finish_reason": "stop", "logprobs": None}]}  # fmt: skip
    tool = {"tool_calls": [{"index": 0, **CALL}]}
    call = event(choices=[{"index": 0, "delta": {"role": "assistant", **tool}, "finish_reason": None}])
    end = event(choices=[{"index": 0, "delta": {}, "finish_reason": "tool_calls"}])
    crowded = whole(THEIRS, "429 Too Many Requests", "retry-after-ms: 20\r\n")
    scripts = {
        "chat": answers(whole(completion())),
        "raw": answers(whole(completion(), fields="x-request-id: req-7\r\n")),
        "stream": hello(),
        "usage": hello(),
        "helper": hello(),
        "tool": answers(whole(completion(tool_calls=[CALL]))),
        "tool-stream": streams(call, end, event(usage=USAGE), DONE),
        "schema": answers(whole(completion('{"pennies": 4}'))),
        "completion": answers(whole(old)),
        "embeddings": embedding,
        "floats": embedding,
        "left": stalled,
        "aborted": stalled,
        "crowded": answers(crowded, crowded, whole(completion())),
        "broken": broken,
        "nothing": answers(whole(b"null")),
        "silent": silent,
        "impatient": silent,
        "middle": cut,
        "400": answers(whole(THEIRS, "400 Bad Request")),
        "401": answers(whole({"error": "Unauthorized"}, "401 Unauthorized")),
        "404": answers(whole({"detail": "Not Found"}, "404 Not Found")),
        "422": answers(whole({"detail": [{"loc": ["body"], "msg": "Field required"}]}, "422 Unprocessable Entity")),
        "429": answers(whole(THEIRS, "429 Too Many Requests", "retry-after: 7\r\n")),
        "500": answers(whole(b"Internal Server Error", "500 Internal Server Error")),
    }
    for name, script in scripts.items():
        upstream.plays(f"node-{name}", script)


@pytest.fixture(scope="module")
def came(gateway: Served, keyed: Served, upstream: Upstream) -> dict[str, Came]:
    """What came of every scenario."""
    prepare(upstream)
    program = ["node", str(NODE_PROJECT / "scenarios.cjs"), gateway.v1, keyed.v1, CI_KEY, str(node_packages())]
    told = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stderr
    results: dict[str, Came] = json.loads(told.stdout)
    return results


WORKS: dict[str, Any] = {
    "chat": {"text": "four pennies", "total": 1100, "model": "m"},
    "stream": {"text": "four pennies", "usages": [], "empty": 0},
    "usage": {"text": "four pennies", "usages": [1100], "empty": 1},
    "helper": {"text": "four pennies"},
    "tool": CALL["function"],
    "schema": {"pennies": 4},
    "completion": "goes up",
    "embeddings": NUMBERS,
    "floats": NUMBERS,
    "left": "four",
    "aborted": "four",
    "crowded": "four pennies",
}


@pytest.mark.parametrize("name", WORKS)
def test_it_works_as_without_a_gateway(name: str, came: dict[str, Came]) -> None:
    assert came[name] == {"came": WORKS[name]}


def test_a_streamed_tool_call_is_put_together(came: dict[str, Came]) -> None:
    function = came["toolStream"]["came"]
    assert (function["name"], json.loads(function["arguments"])) == ("get_toll", {"wheels": 2})


def test_models_are_listed_and_found(came: dict[str, Came]) -> None:
    assert {"toll", "spare"} <= set(came["models"]["came"]["names"])
    assert came["models"]["came"]["one"] == "toll"


def test_a_raw_response_tells_what_the_call_cost(came: dict[str, Came]) -> None:
    raw = came["raw"]["came"]
    assert raw["headers"]["x-tollkeeper-cost-usd"] == COST
    assert raw["headers"]["x-upstream-request-id"] == "req-7"
    assert raw["id"] == raw["headers"]["x-tollkeeper-call-id"]


FAILS: dict[str, tuple[str, int | None, str | None, str | None]] = {
    "unknownModel": ("NotFoundError", 404, "model_not_found", "false"),
    "noModel": ("BadRequestError", 400, "invalid_request", "false"),
    "nullModel": ("BadRequestError", 400, "invalid_request", "false"),
    "tooLarge": ("APIError", 413, "request_too_large", "false"),
    "badJson": ("BadRequestError", 400, "invalid_request", "false"),
    "responses": ("InternalServerError", 501, "not_in_this_version", "false"),
    "files": ("InternalServerError", 501, "not_in_this_version", "false"),
    "images": ("NotFoundError", 404, "unknown_url", "false"),
    "badKey": ("AuthenticationError", 401, "invalid_api_key", "false"),
    "notAllowed": ("PermissionDeniedError", 403, "model_not_allowed", "false"),
    "dead": ("InternalServerError", 502, "upstream_error", "true"),
    "broken": ("InternalServerError", 502, "upstream_error", "false"),
    "nothing": ("InternalServerError", 502, "upstream_error", "false"),
    "silent": ("InternalServerError", 504, "upstream_timeout", "false"),
    "impatient": ("APIConnectionTimeoutError", None, None, None),
    "middle": ("APIError", None, "upstream_error", None),
    "upstream400": ("BadRequestError", 400, "theirs", None),
    "upstream401": ("AuthenticationError", 401, None, None),
    "upstream404": ("NotFoundError", 404, None, None),
    "upstream422": ("UnprocessableEntityError", 422, None, None),
    "upstream429": ("RateLimitError", 429, "theirs", None),
    "upstream500": ("InternalServerError", 500, None, None),
}
"""Class, status, code and `x-should-retry` of each failure; null where there is none."""


@pytest.mark.parametrize("name", FAILS)
def test_it_fails_as_the_sdk_expects(name: str, came: dict[str, Came]) -> None:
    """Known faults 70 and 72: every error and every short circuit through the real SDK."""
    raised, status, code, should_retry = FAILS[name]
    found = came[name]
    assert (found["raised"], found.get("status"), found["shouldRetry"]) == (raised, status, should_retry), found
    assert (found.get("code") or None) == code
    if code is not None and code != "theirs":
        assert set(found["body"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("model", "times"),
    [("broken", 1), ("nothing", 1), ("silent", 1), ("400", 1), ("422", 1), ("429", 1), ("crowded", 3), ("chat", 1)],
)
def test_the_upstream_is_asked_as_often_as_it_should_be(
    model: str, times: int, came: dict[str, Came], upstream: Upstream
) -> None:
    assert came
    assert len(upstream.asked(f"node-{model}")) == times


@pytest.mark.parametrize("name", ["left", "aborted", "impatient"])
def test_who_leaves_has_a_row(name: str, came: dict[str, Came], gateway: Served) -> None:
    assert came
    row = gateway.row(within=2, model=f"up/node-{name}")
    assert (row["end"], row["usage_basis"]) == ("cut_by_client", "estimated")


def test_every_scenario_that_named_a_model_has_its_rows(came: dict[str, Came], gateway: Served) -> None:
    assert came
    rows = until(lambda: [row for row in gateway.calls() if "/node-" in (row["model"] or "")], "rows")
    assert {row["end"] for row in rows if row["status"] == 200 and row["error"] is None} == {"completed"}
    dead = [row for row in rows if row["model"] == "dead/node-dead"]
    assert len(dead) == 2, "the SDK was told to try again, and it did"
