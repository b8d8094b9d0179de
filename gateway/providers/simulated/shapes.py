"""Where the two text endpoints of OpenAI differ: names, and how text sits in a choice."""

from collections.abc import Iterator, Mapping
from typing import Any


class Shape:
    """The legacy completions endpoint: text without roles."""

    id_prefix = "cmpl-sim"
    whole_object = part_object = "text_completion"

    def whole(self, index: int, text: str, end: str) -> Mapping[str, Any]:
        """A choice of a whole answer."""
        return self.part(index, text, end)

    def opening(self, choices: int) -> Iterator[Mapping[str, Any]]:
        """What a stream says before its first word."""
        return iter(())

    def part(self, index: int, token: str | None, end: str | None) -> Mapping[str, Any]:
        """A choice of one event: a token, or the finish reason without one."""
        return {"text": token or "", "index": index, "logprobs": None, "finish_reason": end}


class _ChatShape(Shape):
    """chat/completions: messages and deltas, the role first."""

    id_prefix = "chatcmpl-sim"
    whole_object = "chat.completion"
    part_object = "chat.completion.chunk"

    def whole(self, index: int, text: str, end: str) -> Mapping[str, Any]:
        message: Mapping[str, Any] = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
        return {"index": index, "message": message, "logprobs": None, "finish_reason": end}

    def opening(self, choices: int) -> Iterator[Mapping[str, Any]]:
        delta: Mapping[str, Any] = {"role": "assistant", "content": "", "refusal": None}
        return ({"index": i, "delta": delta, "logprobs": None, "finish_reason": None} for i in range(choices))

    def part(self, index: int, token: str | None, end: str | None) -> Mapping[str, Any]:
        delta = {} if token is None else {"content": token}
        return {"index": index, "delta": delta, "logprobs": None, "finish_reason": end}


TEXT, CHAT = Shape(), _ChatShape()
