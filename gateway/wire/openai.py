"""OpenAI's dialect: what a request asks for, what a whole answer says, what a refusal looks like.

Covers `chat/completions`, `completions` and `embeddings`. Knows no provider and no model of ours.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any

import orjson

from gateway.core.errors import Fault, Kind
from gateway.core.value import value
from gateway.wire import json_edit
from gateway.wire.inline_data import without_data
from gateway.wire.openai_usage import Json, Stated, from_timings, stated
from gateway.wire.outline import outline


class Endpoint(StrEnum):
    """A path below `/v1` that can cost money."""

    CHAT = "chat/completions"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"

    __hash__ = str.__hash__  # an enumeration's own is many times slower


@value(frozen=True)
class Asked:
    """What a request body says, as far as a gateway must know."""

    model: str
    stream: bool
    wants_usage: bool
    """The client asked for the usage event itself."""
    stream_options: Mapping[str, Any] | None
    """As sent; empty if it is no object (null, say), null if the field is not there at all."""
    end_user: str | None
    labels: Mapping[str, str] = field(default_factory=dict)
    web_search: bool = False
    """The provider may search the web for this call, and bill it."""
    limit: int | None = None
    """The most tokens of an answer that it asks for; null: it says nothing of it."""


MAX_MODEL = 512
"""Characters; what calls are summed by must not grow without bound."""
MAX_LABELS = 32
MAX_LABEL = 256


def read_request(body: bytes) -> Asked:
    """Reads a request body. Raises `Fault` (invalid) naming the field that is wrong."""
    try:
        asked = orjson.loads(outline(body))
    except orjson.JSONDecodeError as error:
        raise Fault(Kind.INVALID, f"the body is not valid JSON: {error}") from None
    if not isinstance(asked, dict):
        raise Fault(Kind.INVALID, "the body must be a JSON object")
    model = asked.get("model")
    if not isinstance(model, str) or not model:
        raise Fault(Kind.INVALID, "`model` must be a non-empty text", param="model")
    if len(model) > MAX_MODEL:
        raise Fault(Kind.INVALID, f"`model` is longer than {MAX_MODEL} characters", param="model")
    options = None
    if "stream_options" in asked:
        sent = asked["stream_options"]
        options = sent if isinstance(sent, dict) else {}
    user = asked.get("user")
    return Asked(
        model,
        asked.get("stream") is True,
        options is not None and options.get("include_usage") is True,
        options,
        user[:MAX_LABEL] if isinstance(user, str) else None,
        _labels(asked["metadata"]) if "metadata" in asked else {},
        may_search(asked),
        limit_of(asked),
    )


def _labels(metadata: object) -> dict[str, str]:
    if not isinstance(metadata, dict):
        return {}
    texts = [(key, value) for key, value in metadata.items() if isinstance(value, str)]
    return {key[:MAX_LABEL]: value[:MAX_LABEL] for key, value in texts[:MAX_LABELS]}


def may_search(asked: Json) -> bool:
    """Whether the provider may search the web for a request."""
    if "web_search_options" in asked or "plugins" in asked:
        return True
    tools = asked.get("tools")
    return isinstance(tools, list) and any(
        isinstance(tool, dict) and str(tool.get("type", "")).startswith("web_search") for tool in tools
    )


def asked_tier(body: bytes) -> str | None:
    """The service tier that a request asks for; null if it names none. Cheap where the word is not in it at all."""
    if b'"service_tier"' not in body:
        return None
    try:
        asked = orjson.loads(outline(body))
    except orjson.JSONDecodeError:
        return None
    tier = asked.get("service_tier") if isinstance(asked, dict) else None
    return tier if isinstance(tier, str) else None


LIMIT_FIELDS = ("max_completion_tokens", "max_tokens")
"""What limits an answer, in tokens."""


def limit_of(asked: Json) -> int | None:
    """The limit of an answer; of two the larger, for nobody knows which one counts."""
    limit: int | None = None
    for name in LIMIT_FIELDS:
        if name in asked and (stated := count_of(asked[name])) is not None:
            limit = stated if limit is None else max(limit, stated)
    return limit


def count_of(stated: object) -> int | None:
    """A number of tokens; −1 and whatever is no number mean no limit."""
    return stated if isinstance(stated, int) and not isinstance(stated, bool) and stated >= 0 else None


@value(frozen=True)
class Lowered:
    """A smaller limit than the request has."""

    tokens: int
    """Of each answer."""
    field: str
    """That its target takes, where the request has none."""


def upstream_body(
    body: bytes, asked: Asked, model: str, ask_for_usage: bool, lowered: Lowered | None = None
) -> json_edit.Pieces:
    """The client's bytes with the target's model name and, for a stream, the wish for usage; nothing else changes,
    except a limit that was lowered."""
    edits: list[json_edit.Edit] = []
    new: dict[str, bytes] = {}
    if lowered is not None:
        edits, new = _lowering(body, lowered)
    if model != asked.model:
        edits += json_edit.replacing(body, "model", orjson.dumps(model), orjson.dumps(asked.model))
    if ask_for_usage and asked.stream and not asked.wants_usage:
        if asked.stream_options is None:
            new["stream_options"] = b'{"include_usage":true}'
        else:
            wish = orjson.dumps({**asked.stream_options, "include_usage": True})
            edits += json_edit.replacing(body, "stream_options", wish)
    if new:
        edits.append(json_edit.inserting(body, new))
    return json_edit.edited(body, edits)


_DIGITS = 18
"""Of a number that fits 64 bits."""


def _lowering(body: bytes, lowered: Lowered) -> tuple[list[json_edit.Edit], dict[str, bytes]]:
    """The field that the client sent is lowered, both if it sent two; a smaller one stays as it is."""
    wanted = str(lowered.tokens).encode()
    sent = [edit for name in LIMIT_FIELDS for edit in json_edit.replacing(body, name, wanted)]
    edits = [edit for edit in sent if not _is_within(body[edit[0] : edit[1]], lowered.tokens)]
    return edits, {} if sent else {lowered.field: wanted}


def _is_within(written: bytes, tokens: int) -> bool:
    digits = written.strip()
    return digits.isdigit() and len(digits) <= _DIGITS and int(digits) <= tokens


def prompt_texts(body: bytes) -> list[str]:
    """All text of a prompt, for an estimate; a message costs a few tokens more, see `PER_MESSAGE`."""
    asked = orjson.loads(without_data(body))
    texts: list[str] = []
    for name in ("messages", "prompt", "input", "tools", "functions", "response_format"):
        if name in asked:
            texts.extend(_texts(asked[name]))
    return texts


PER_MESSAGE = 3
"""Tokens that OpenAI's chat format adds to each message, and once more to prime the answer."""


def message_count(body: bytes) -> int:
    messages = orjson.loads(outline(body)).get("messages")
    return len(messages) if isinstance(messages, list) else 0


_DATA_ADDRESS = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,")


def _texts(value: object) -> Iterator[str]:
    """Every text inside, without the bytes of pictures and sounds."""
    if isinstance(value, str):
        if not _DATA_ADDRESS.match(value):
            yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in ("type", "input_audio", "image_url", "file"):
                yield from _texts(item)


@value(frozen=True)
class Said:
    """What a whole answer says beside its text."""

    stated: Stated | None
    texts: list[str]
    """What was generated, as far as it is text; left out where the stated usage says how much it was."""
    service_tier: str | None
    error: str | None
    """An error object in an answer of status 200."""
    per_choice: bool = False
    """The usage counts one of several choices (llama.cpp with `n` > 1): it is not the whole."""


def read_answer(body: bytes) -> Said | None:
    """Reads a whole answer; None if it is no JSON object."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(answer, dict):
        return None
    timings = answer.get("timings")
    choices = answer.get("choices")
    choices = choices if isinstance(choices, list) else []
    tier = answer.get("service_tier")
    said = _answer_usage(answer, timings, body)
    per_choice = isinstance(timings, dict) and len(choices) > 1
    told = said is not None and said.usage.generated_tokens and not per_choice
    return Said(
        said,
        [] if told else [text for choice in choices for text in choice_texts(choice, "message")],
        tier if isinstance(tier, str) else None,
        error_text(answer["error"]) if not choices and answer.get("error") else None,
        per_choice,
    )


def _answer_usage(answer: Json, timings: object, body: bytes) -> Stated | None:
    usage = answer.get("usage")
    if isinstance(usage, dict):
        return stated(usage, body)
    if isinstance(timings, dict) and (counted := from_timings(timings)):
        return Stated(counted, orjson.dumps({"timings": timings}).decode())
    return None


def choice_texts(choice: object, where: str) -> Iterator[str]:
    """The generated texts of a choice, reasoning included; `where` is `message` or `delta`."""
    if not isinstance(choice, dict):
        return
    said = choice.get(where)
    source = said if isinstance(said, dict) else choice
    for name in ("content", "text", "refusal", "reasoning_content", "reasoning"):
        text = source.get(name)
        if isinstance(text, str) and text:
            yield text
    for call in source.get("tool_calls") or ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            yield from (text for name in ("name", "arguments") if isinstance(text := function.get(name), str) and text)


def error_text(error: object) -> str:
    """One line from an error in any of the shapes that servers use."""
    if isinstance(error, dict):
        code = error.get("code") or error.get("type")
        message = error.get("message") or error.get("detail") or ""
        return f"{code}: {message}"[:500] if code else str(message)[:500]
    return str(error)[:500]


def envelope(message: str, kind: str, code: str, param: str | None) -> bytes:
    """OpenAI's error object, the only shape its SDKs read (known fault 72)."""
    return orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}})


def error_event(message: str, kind: str, code: str) -> bytes:
    """An error in the middle of a stream; the SDKs raise on it. No `[DONE]` follows."""
    return b"data: " + envelope(message, kind, code, None) + b"\n\n"


_USAGE_KEY = re.compile(rb'"usage"\s*:\s*(\{(?:[^{}]|\{[^{}]*\})*\})')


def find_usage(part: bytes) -> Stated | None:
    """The usage object in a piece of an answer too large to be held, from its end backwards."""
    for found in reversed(list(_USAGE_KEY.finditer(part))):
        try:
            usage = orjson.loads(found[1])
        except orjson.JSONDecodeError:
            continue  # a cut-off look-alike: the next one may be whole
        return stated(usage, b"{" + found[0] + b"}")
    return None
