"""The meter beside an OpenAI stream: what each event says, what the stream said in the end.

It sees events and never changes them. Usage is a last value of a stream, never a sum, except events that each
count one choice (llama.cpp with `n` > 1), which are added (contract §6).
"""

from dataclasses import replace
from typing import Final

import orjson

from gateway.core.usage import Usage
from gateway.core.value import value
from gateway.wire.openai import choice_texts, error_text
from gateway.wire.openai_usage import Stated, from_timings, stated

DONE = b"[DONE]"


class Saw:
    """What one event holds: bits of an integer. An enumeration of flags would take longer than parsing the event."""

    NOTHING: Final = 0
    CONTENT: Final = 1
    """Something that a user would see: text, a tool call, a refusal, sound, a picture."""
    REASONING: Final = 2
    USAGE_ONLY: Final = 4
    """`choices: []` and a usage object: the event that OpenAI sends only if asked."""
    ERROR: Final = 8
    DONE: Final = 16
    USAGE: Final = 32
    """A usage object beside a choice: the stream goes on."""


@value(frozen=True)
class Heard:
    """What a stream said from its first event to its last, or to the cut."""

    stated: Stated | None
    texts: list[str]
    service_tier: str | None
    error: str | None
    done: bool
    finished: bool
    """Some choice gave its `finish_reason`."""
    events: int
    text_after_usage: bool
    """Text came after the last usage: it cannot hold all."""


class StreamMeter:
    """Feed it every event's payload; ask it at the end."""

    __slots__ = (
        "_after_usage",
        "_done",
        "_error",
        "_events",
        "_finished",
        "_per_choice",
        "_raw_last",
        "_stated",
        "_texts",
        "_tier",
        "_timings",
    )

    def __init__(self) -> None:
        self._stated: Stated | None = None
        self._per_choice: Usage | None = None
        self._timings: Usage | None = None
        self._texts: list[str] = []
        self._tier: str | None = None
        self._error: str | None = None
        self._done = self._finished = self._after_usage = False
        self._events = 0
        self._raw_last = ""

    def observe(self, data: bytes) -> int:
        """What this event holds; `data` is its payload."""
        if data == DONE:
            self._done = True
            return Saw.DONE
        try:
            event = orjson.loads(data)
        except orjson.JSONDecodeError:
            return Saw.NOTHING  # not ours to judge: the bytes pass as they are
        if not isinstance(event, dict):
            return Saw.NOTHING
        self._events += 1
        choices = event.get("choices")
        saw = Saw.NOTHING
        if choices:
            saw = self._choices(choices)
        elif event.get("error"):
            self._error = error_text(event["error"])
            return Saw.ERROR
        if event.get("usage") or "timings" in event:
            saw |= self._counted(event, choices, data)
        tier = event.get("service_tier")
        if tier is not None and isinstance(tier, str):
            self._tier = tier
        return saw

    def _counted(self, event: dict[str, object], choices: object, data: bytes) -> int:
        usage, timings = event.get("usage"), event.get("timings")
        if isinstance(usage, dict) and usage:
            self._usage(usage, data, isinstance(timings, dict))
            return Saw.USAGE_ONLY if choices == [] else Saw.USAGE
        if isinstance(timings, dict):
            self._add_timings(timings)
        return Saw.NOTHING

    def _choices(self, choices: object) -> int:
        saw = Saw.NOTHING
        if not isinstance(choices, list):
            return saw
        for choice in choices:
            if not isinstance(choice, dict):
                continue
            delta = choice.get("delta")
            if isinstance(delta, dict) and isinstance(text := delta.get("content"), str) and text:
                self._texts.append(text)  # by far the most frequent event
                saw |= Saw.CONTENT
            else:
                saw |= self._rare(choice, delta if isinstance(delta, dict) else {})
            if choice.get("finish_reason"):
                self._finished = True
        if saw:
            self._after_usage = True
        return saw

    def _rare(self, choice: dict[str, object], delta: dict[str, object]) -> int:
        self._texts.extend(choice_texts(choice, "delta"))
        saw = Saw.NOTHING
        if choice.get("text") or any(
            delta.get(name) for name in ("tool_calls", "function_call", "refusal", "audio", "images")
        ):
            saw |= Saw.CONTENT
        if any(delta.get(name) for name in ("reasoning_content", "reasoning", "reasoning_details")):
            saw |= Saw.REASONING
        return saw

    def _usage(self, usage: dict[str, object], data: bytes, of_one_choice: bool) -> None:
        said = stated(usage, data)
        self._after_usage = False
        if of_one_choice:  # llama.cpp: its `timings` stand beside, once for each choice
            self._per_choice = _add_choice(self._per_choice, said.usage)
            said = replace(said, usage=self._per_choice)
        self._stated = said

    def _add_timings(self, timings: dict[str, object]) -> None:
        counted = from_timings(timings)
        if counted is not None:
            self._timings = _add_choice(self._timings, counted)
            self._raw_last = orjson.dumps({"timings": timings}).decode()

    def heard(self) -> Heard:
        """What the stream has said so far."""
        said = self._stated
        if said is None and self._timings is not None:
            said = Stated(self._timings, self._raw_last)
        return Heard(
            stated=said,
            texts=self._texts,
            service_tier=self._tier,
            error=self._error,
            done=self._done,
            finished=self._finished,
            events=self._events,
            text_after_usage=self._after_usage and self._timings is None,
        )


def _add_choice(so_far: Usage | None, one: Usage) -> Usage:
    """One more choice of the same prompt: the prompt is a last value, what was generated adds up."""
    if so_far is None:
        return one
    added = so_far + one
    return replace(added, input=one.input, cache_read=one.cache_read, cache_write=one.cache_write)
