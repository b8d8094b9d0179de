"""The shape of the load: what clients ask and what the stand-in upstream answers, byte for byte.

The same for the gateway and for whatever it is compared with: 50 words, usage told, one event for each word.
"""

import json
from collections.abc import Iterator
from typing import Any

MODEL = "gpt-4o-mini"
ALIASES = tuple(f"chat-{number}" for number in range(8))
"""Names of our own for `MODEL`, as teams give them."""
WORDS = 50
MARK = b"wrd"
"""In every word of an answer and nowhere else: whoever counts it knows whether the answer came whole."""
STAMP = b"0" * 20
"""In an event of `stamped_event`: where the time goes, in nanoseconds."""

_PROMPT_TOKENS = 42
_QUESTION = (
    "Say in two sentences why whatever stands between a program and the language model that it asks should add as "
    "little time as possible, and what must be written down about each call so that its cost can be explained later."
)
_TOLD = {"created": 1_760_000_000, "model": MODEL, "service_tier": "default", "system_fingerprint": "fp_stand_in"}


def question(*, stream: bool, model: str = MODEL, prompt: int = 0, image: int = 0) -> bytes:
    """The body of a chat call. `prompt`, `image`: bytes of text, of base64, that it holds besides."""
    text = _QUESTION if not prompt else (_QUESTION + "\n") * (prompt // (len(_QUESTION) + 1) + 1)
    content: Any = text[: max(prompt, len(_QUESTION))]
    if image:
        picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBORw0K" * (image // 8)}}
        content = [{"type": "text", "text": content}, picture]
    messages = [
        {"role": "system", "content": "You answer in plain English and keep it short."},
        {"role": "user", "content": content},
    ]
    body: dict[str, Any] = {"model": model, "messages": messages, "max_tokens": 200}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(body).encode()


def whole_answer() -> bytes:
    """The JSON of an answer that is no stream."""
    message = {"role": "assistant", "content": "".join(_words()).strip(), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    answer = {"id": "chatcmpl-1", "object": "chat.completion", **_TOLD, "choices": [choice], "usage": _usage(WORDS)}
    return json.dumps(answer).encode()


def events() -> list[bytes]:
    """The events of a streamed answer, in order."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "", "refusal": None}]
    deltas += [{"content": word} for word in _words()]
    return [*(_event(_chunk([_choice(delta, None)])) for delta in deltas), *last_events(WORDS)]


def last_events(words: int) -> list[bytes]:
    """How a stream of so many words ends."""
    return [_event(_chunk([_choice({}, "stop")])), _event(_chunk([], _usage(words))), b"data: [DONE]\n\n"]


def stamped_event() -> bytes:
    """An event of one word, with room for the time at which it is sent."""
    return _event({**_chunk([_choice({"content": f" {MARK.decode()}00"}, None)]), "sent_ns": STAMP.decode()})


def _words() -> Iterator[str]:
    return (f" {MARK.decode()}{number:02}" for number in range(WORDS))


def _usage(words: int) -> dict[str, Any]:
    return {
        "prompt_tokens": _PROMPT_TOKENS,
        "completion_tokens": words,
        "total_tokens": _PROMPT_TOKENS + words,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _choice(delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}


def _chunk(choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", **_TOLD, "choices": choices, "usage": usage}


def _event(chunk: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(chunk)}\n\n".encode()
