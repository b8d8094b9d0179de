"""What a simulated provider answers: one script of waits and bytes for each call, in OpenAI's exact shape.

All chance of a call comes from one generator, in one order: the same generator writes the same bytes.
"""

import re
from array import array
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from random import Random
from typing import Any

import orjson

from gateway.ports import Headers
from gateway.providers.simulated.behaviour import Fate, Simulation
from gateway.providers.simulated.shapes import CHAT, TEXT, Shape

Step = tuple[float, bytes]
"""Seconds to wait, then bytes to hand out."""

Json = Mapping[str, Any]

_OPENING = ("This", " is", " a", " simulated", " answer", ":")
_PROSE = (
    "the ledger counts every call that passes and a quiet gate keeps watch over tokens while morning light falls on"
    " numbers nobody has to guess because each row names its price its book and its end so that sums agree at last"
)
_WORDS = [f" {word}" for word in _PROSE.split()]
_CACHES = re.compile(r"^(gpt-|o\d|deepseek|mistral-large)")
_REASONS = re.compile(r"^(o\d|gpt-5|.*reasoner)")
_MOST_CHOICES = 16
_MOST_TOKENS = 4096
_MOST_DIMENSIONS = 4096


@dataclass(slots=True)
class Script:
    """One answer before it is played."""

    status: int
    steps: list[Step]
    head_after: float = 0.0
    """Seconds until the head of the answer comes."""
    stream: bool = False
    breaks: bool = False
    """The line breaks after the last step."""
    length: int = 0
    """Bytes of a whole body, also of one that breaks before its end."""
    extra: Headers = field(default_factory=list)


def write_script(simulation: Simulation, chance: Random, path: str, body: bytes, call: str, now: int) -> Script:
    """The answer to one request. `call` becomes part of its id, `now` (seconds since 1970) its `created`."""
    if path not in ("chat/completions", "completions", "embeddings"):
        return _error(404, f"Unknown request URL: /{path}", "invalid_request_error", "unknown_url")
    asked = _parsed(body)
    if asked is None:
        return _error(400, "The body is no JSON object with a model", "invalid_request_error", None)
    fate = simulation.fate(chance)
    if fate is Fate.RATE_LIMIT:
        return _error(429, "Rate limit reached", "requests", "rate_limit_exceeded", [("retry-after", "1")])
    if fate is Fate.SERVER_ERROR:
        return _error(500, "The server had an error while processing your request", "server_error", None)
    if path == "embeddings":
        script = _embed(simulation, chance, asked)
    else:
        shape = CHAT if path == "chat/completions" else TEXT
        script = _Generation(simulation, chance, shape, asked).script(call, now)
    return _broken(script, chance) if fate is Fate.BREAK else script


def write_listing(simulation: Simulation) -> bytes:
    """What `GET /models` answers."""
    models = [{"id": name, "object": "model", "created": 0, "owned_by": "simulated"} for name in simulation.models]
    return orjson.dumps({"object": "list", "data": models})


def _parsed(body: bytes) -> Json | None:
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return asked if isinstance(asked, dict) and isinstance(asked.get("model"), str) else None


def _whole(status: int, body: object, *, head_after: float = 0.0, extra: Headers | None = None) -> Script:
    data = orjson.dumps(body)
    return Script(status, [(0.0, data)], head_after, length=len(data), extra=extra or [])


def _error(status: int, message: str, kind: str, code: str | None, extra: Headers | None = None) -> Script:
    error = {"message": f"{message} (simulated)", "type": kind, "param": None, "code": code}
    return _whole(status, {"error": error}, extra=extra)


def _broken(script: Script, chance: Random) -> Script:
    script.breaks = True
    if script.stream:
        script.steps = script.steps[: chance.randint(1, len(script.steps) - 1)]
    else:
        script.steps = [(wait, data[: len(data) // 2]) for wait, data in script.steps]
    return script


class _Generation:
    """An answer of chat/completions or completions."""

    def __init__(self, simulation: Simulation, chance: Random, shape: Shape, asked: Json) -> None:
        self._simulation = simulation
        self._chance = chance
        self._shape = shape
        self._asked = asked
        limit = asked.get("max_completion_tokens") or asked.get("max_tokens")
        limit = limit if isinstance(limit, int) and limit > 0 else _MOST_TOKENS
        self._reasoning = self._hidden_tokens(limit)
        n = asked.get("n")
        count = min(n, _MOST_CHOICES) if isinstance(n, int) and n > 0 else 1
        self._choices = [self._choice(limit - self._reasoning) for _ in range(count)]

    def script(self, call: str, now: int) -> Script:
        frame = {
            "id": f"{self._shape.id_prefix}{call}",
            "object": self._shape.part_object if self._asked.get("stream") else self._shape.whole_object,
            "created": now,
            "model": self._asked["model"],
            "system_fingerprint": "simulated",
        }
        usage = self._usage()
        thinking = self._simulation.scattered(self._simulation.ttft, self._chance)
        thinking += self._reasoning * self._simulation.itl
        if self._asked.get("stream"):
            return self._stream(frame, usage, thinking)
        longest = max(len(tokens) for tokens, _ in self._choices)
        answer = frame | {
            "choices": [self._shape.whole(i, "".join(tokens), end) for i, (tokens, end) in enumerate(self._choices)],
            "usage": usage,
        }
        return _whole(200, answer, head_after=thinking + sum(self._gap() for _ in range(longest - 1)))

    def _stream(self, frame: dict[str, Any], usage: Json, thinking: float) -> Script:
        options = self._asked.get("stream_options")
        wants_usage = isinstance(options, dict) and options.get("include_usage") is True
        # OpenAI states a null usage on every chunk but the last one, if it was asked for.
        tail: Json = {"usage": None} if wants_usage else {}

        def event(choice: Json) -> bytes:
            return _event({**frame, "choices": [choice], **tail})

        # The head and the role come shortly before the first word.
        first_word = thinking * 0.1
        steps = [(0.0, event(choice)) for choice in self._shape.opening(len(self._choices))]
        for position, row in enumerate(zip_longest(*(tokens for tokens, _ in self._choices))):
            wait = self._gap() if position else first_word
            for i, token in enumerate(row):
                if token is not None:
                    steps.append((wait, event(self._shape.part(i, token, None))))
                    wait = 0.0
        steps += [(0.0, event(self._shape.part(i, None, end))) for i, (_, end) in enumerate(self._choices)]
        if wants_usage:
            steps.append((0.0, _event({**frame, "choices": [], "usage": usage})))
        steps.append((0.0, b"data: [DONE]\n\n"))
        return Script(200, steps, head_after=thinking - first_word, stream=True)

    def _gap(self) -> float:
        return self._simulation.scattered(self._simulation.itl, self._chance)

    def _choice(self, limit: int) -> tuple[list[str], str]:
        """Tokens of one choice and its finish reason."""
        wanted = max(1, round(self._simulation.scattered(self._simulation.output_tokens, self._chance)))
        count = min(wanted, limit)
        tokens = [*_OPENING, *self._chance.choices(_WORDS, k=max(0, count - len(_OPENING)))]
        return tokens[:count], "stop" if count == wanted else "length"

    def _hidden_tokens(self, limit: int) -> int:
        """Reasoning before the answer, in the steps of 64 that OpenAI reports."""
        if not _REASONS.match(self._asked["model"]):
            return 0
        return min(64 * self._chance.randint(1, 8), limit // 2)

    def _usage(self) -> Json:
        prompt = _prompt_tokens(self._asked)
        reasoning = self._reasoning * len(self._choices)
        completion = reasoning + sum(len(tokens) for tokens, _ in self._choices)
        cached = 0
        # As at OpenAI: prompts from 1024 tokens on, in steps of 128.
        if _CACHES.match(self._asked["model"]) and prompt >= 1024 and self._chance.random() < 0.6:
            cached = prompt * 4 // 5 // 128 * 128
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }


def _embed(simulation: Simulation, chance: Random, asked: Json) -> Script:
    texts = asked.get("input")
    if not isinstance(texts, list) or (texts and isinstance(texts[0], int)):
        texts = [texts]
    size = asked.get("dimensions")
    size = size if isinstance(size, int) and 0 < size <= _MOST_DIMENSIONS else 256
    vectors = [array("f", (chance.uniform(-1.0, 1.0) for _ in range(size))) for _ in texts]
    in_base64 = asked.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": i, "embedding": b64encode(v.tobytes()).decode() if in_base64 else list(v)}
        for i, v in enumerate(vectors)
    ]
    tokens = sum(len(text) if isinstance(text, list) else _tokens_of(text) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    answer = {"object": "list", "data": data, "model": asked["model"], "usage": usage}
    return _whole(200, answer, head_after=simulation.scattered(simulation.ttft, chance))


def _event(body: object) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\n\n"


def _prompt_tokens(asked: Json) -> int:
    messages = asked.get("messages")
    if isinstance(messages, list):
        return 3 + sum(4 + _tokens_of(m.get("content") if isinstance(m, dict) else m) for m in messages)
    return _tokens_of(asked.get("prompt"))


def _tokens_of(content: object) -> int:
    """Four bytes to a token, the rule of thumb; nothing here depends on a real tokenizer."""
    text = content if isinstance(content, str) else orjson.dumps(content).decode()
    return max(1, len(text.encode()) // 4)
