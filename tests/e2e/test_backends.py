"""The servers that most gateways stand before, which take minutes to install: `make test-backends`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.backends.engines import LLAMA_CPP_PYTHON, MLX, TRANSFORMERS, Engine, running, vllm
from tests.e2e.gateway import Row, Served, serving

pytestmark = pytest.mark.backends

SETTINGS = """\
providers: {{box: {{kind: openai, base_url: "{url}/v1"}}}}
retries: {{timeout: 60s}}
prices: {{box/*: {{usd_per_million: {{input: "1", cache_read: "0.1", output: "2"}}}}}}
"""
MODEL = "box/tiny-toll"
ASK: Any = [{"role": "user", "content": "What is the toll for a cart of apples?"}]
SHORT: Any = {"model": MODEL, "messages": ASK, "max_tokens": 12, "temperature": 0}
USAGE: Any = {"include_usage": True}
PROMPT_TOKENS = 29
"""All of them count the same for `ASK`."""

ENGINES: dict[str, Callable[[], Engine]] = {
    "vllm": vllm,
    "transformers": lambda: TRANSFORMERS,
    "mlx": lambda: MLX,
    "llama-cpp-python": lambda: LLAMA_CPP_PYTHON,
}


@contextmanager
def gateway_before(engine: Engine, data: Path) -> Iterator[tuple[Served, openai.OpenAI]]:
    with (
        running(engine) as url,
        serving(data, SETTINGS.format(url=url)) as gateway,
        openai.OpenAI(base_url=gateway.v1, api_key="none", max_retries=0, timeout=60) as client,
    ):
        yield gateway, client


@pytest.fixture(scope="module", params=ENGINES)
def backend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Served, openai.OpenAI]]:
    with gateway_before(ENGINES[request.param](), tmp_path_factory.mktemp(request.param)) as (gateway, client):
        yield request.param, gateway, client


Backend = tuple[str, Served, openai.OpenAI]


def session(name: str) -> dict[str, str]:
    return {"x-tollkeeper-session": name}


def agrees(row: Row, usage: Any) -> None:
    assert row["usage_basis"] == "provider"
    assert row["usage"]["input"] + (row["usage"]["cache_read"] or 0) == usage.prompt_tokens == PROMPT_TOKENS
    assert row["usage"]["output"] == usage.completion_tokens


def test_a_chat(backend: Backend) -> None:
    _, gateway, client = backend
    said = client.chat.completions.create(**SHORT, extra_headers=session("chat"))
    assert said.choices[0].message.content
    row = gateway.row(session="chat")
    assert row["end"] == "completed"
    agrees(row, said.usage)


def test_a_stream_that_did_not_ask_for_usage(backend: Backend) -> None:
    """Every one of them is counted; only the one that never states usage is estimated."""
    name, gateway, client = backend
    with client.chat.completions.create(**SHORT, stream=True, extra_headers=session("stream")) as stream:
        chunks = list(stream)
    assert "".join(one.choices[0].delta.content or "" for one in chunks)
    row = gateway.row(session="stream")
    assert row["end"] == "completed"
    assert row["timings"]["ttft_ms"] > 0
    if name == "llama-cpp-python":
        assert row["usage_basis"] == "estimated"
        assert row["usage"]["output"] > 0
    else:
        assert row["usage_basis"] == "provider"
        assert row["usage"]["output"] == 12


def test_a_stream_that_asked_for_usage(backend: Backend) -> None:
    name, gateway, client = backend
    with client.chat.completions.create(
        **SHORT, stream=True, stream_options=USAGE, extra_headers=session("usage")
    ) as stream:
        usages = [one.usage for one in stream if one.usage]
    row = gateway.row(session="usage")
    if name == "llama-cpp-python":
        assert (usages, row["usage_basis"]) == ([], "estimated")
    else:
        agrees(row, usages[-1])


def test_whole_and_streamed_cost_the_same(backend: Backend) -> None:
    """Known fault 7."""
    name, gateway, client = backend
    for stream in (False, True):
        with client.chat.completions.with_streaming_response.create(
            **SHORT, stream=stream, extra_headers=session(f"same-{stream}")
        ) as answer:
            answer.read()
    whole, streamed = gateway.row(session="same-False"), gateway.row(session="same-True")
    if name != "llama-cpp-python":
        assert whole["usage"]["output"] == streamed["usage"]["output"]


def test_a_completion(backend: Backend) -> None:
    _, gateway, client = backend
    asked: Any = {"model": MODEL, "prompt": "The keeper of the toll", "max_tokens": 8, "temperature": 0}
    said = client.completions.create(**asked, extra_headers=session("old"))
    assert said.choices[0].text
    row = gateway.row(session="old")
    assert said.usage is not None
    assert row["usage"]["output"] == said.usage.completion_tokens


def test_a_client_that_leaves(backend: Backend) -> None:
    _, gateway, client = backend
    asked = {**SHORT, "max_tokens": 1500}
    with client.chat.completions.create(**asked, stream=True, extra_headers=session("left")) as stream:
        for _, _chunk in zip(range(5), stream, strict=False):
            pass
    row = gateway.row(session="left")
    assert (row["end"], row["usage_basis"]) == ("cut_by_client", "estimated")
    assert row["usage"]["output"] > 0


def test_an_error_reaches_the_client_as_its_class(backend: Backend) -> None:
    """Each answers in a shape of its own; the SDK raises all the same, and the row is at zero."""
    _, gateway, client = backend
    wrong: Any = {**SHORT, "temperature": "hot"}
    with pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(**wrong, extra_headers=session("wrong"))
    assert raised.value.status_code in (400, 422, 500)
    row = gateway.row(session="wrong")
    assert (row["end"], row["status"], row["cost_usd"]) == ("failed", raised.value.status_code, "0.000000000")


def test_vllm_with_everything_it_can_tell(tmp_path: Path) -> None:
    """Cached tokens, growing usage in every chunk, usage that is forced, tool calls."""
    engine = vllm("--enable-prompt-tokens-details", "--enable-force-include-usage")
    with gateway_before(engine, tmp_path) as (gateway, client):
        long: Any = {**SHORT, "messages": [{"role": "user", "content": "7 " * 300}]}
        for number in range(2):
            client.chat.completions.create(**long, extra_headers=session(f"long-{number}"))
        assert gateway.row(session="long-0")["usage"]["cache_read"] == 0
        assert gateway.row(session="long-1")["usage"]["cache_read"] == 512
        growing: Any = {"include_usage": True, "continuous_usage_stats": True}
        with client.chat.completions.create(
            **SHORT, stream=True, stream_options=growing, extra_headers=session("growing")
        ) as stream:
            assert sum(one.usage is not None for one in stream) > 5
        assert gateway.row(session="growing")["usage"]["output"] == 12
        with client.chat.completions.create(**SHORT, stream=True, extra_headers=session("forced")) as stream:
            assert all(one.choices for one in stream), "the event that nobody asked for was not taken out"
        assert gateway.row(session="forced")["usage"]["output"] == 12
        tool: Any = {"type": "function", "function": {"name": "get_toll", "parameters": {
            "type": "object", "properties": {"open": {"type": "boolean"}}, "required": ["open"]}}}  # fmt: skip
        asked: Any = {**SHORT, "max_tokens": 120, "tools": [tool], "tool_choice": "required"}
        said = client.chat.completions.create(**asked)
        assert said.choices[0].message.tool_calls
