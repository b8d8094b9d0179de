"""The shape of the load: what clients ask and what the stand-in upstream answers, byte for byte.

The same for the gateway and for whatever it is compared with: 50 words, usage told, one event for each word.
"""

import json
from collections.abc import Iterator
from typing import Any

MODEL = "gpt-4o-mini"
WORDS = 50
MARK = b"wrd"
"""In every word of an answer and nowhere else: whoever counts it knows whether the answer came whole."""

_PROMPT_TOKENS = 42
_QUESTION = (
    "Say in two sentences why whatever stands between a program and the language model that it asks should add as "
    "little time as possible, and what must be written down about each call so that its cost can be explained later."
)
_USAGE = {
    "prompt_tokens": _PROMPT_TOKENS,
    "completion_tokens": WORDS,
    "total_tokens": _PROMPT_TOKENS + WORDS,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}
_TOLD = {"created": 1_760_000_000, "model": MODEL, "service_tier": "default", "system_fingerprint": "fp_stand_in"}


def question(*, stream: bool) -> bytes:
    """The body of a chat call."""
    messages = [
        {"role": "system", "content": "You answer in plain English and keep it short."},
        {"role": "user", "content": _QUESTION},
    ]
    body: dict[str, Any] = {"model": MODEL, "messages": messages, "max_tokens": 200}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(body).encode()


def whole_answer() -> bytes:
    """The JSON of an answer that is no stream."""
    message = {"role": "assistant", "content": "".join(_words()).strip(), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    answer = {"id": "chatcmpl-1", "object": "chat.completion", **_TOLD, "choices": [choice], "usage": _USAGE}
    return json.dumps(answer).encode()


def events() -> list[bytes]:
    """The events of a streamed answer, in order."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "", "refusal": None}]
    deltas += [{"content": word} for word in _words()]
    told = [_chunk([_choice(delta, None)]) for delta in deltas]
    told += [_chunk([_choice({}, "stop")]), _chunk([], _USAGE), "[DONE]"]
    return [f"data: {event}\n\n".encode() for event in told]


def _words() -> Iterator[str]:
    return (f" {MARK.decode()}{number:02}" for number in range(WORDS))


def _choice(delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}


def _chunk(choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> str:
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", **_TOLD, "choices": choices, "usage": usage}
    return json.dumps(chunk)
