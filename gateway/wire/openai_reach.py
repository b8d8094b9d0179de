"""How much a request in OpenAI's dialect can use, as far as its body says: what a hold is computed from (promises §2).

Reads bodies that `openai` has read before. What cannot be told from the body says so; how large a model's context is,
and what anything costs, is not known here.
"""

from typing import Any

import orjson

from gateway.core.value import value
from gateway.wire.inline_data import without_data
from gateway.wire.openai import count_of, limit_of, may_search

_TEXT_PARTS = frozenset({"text", "refusal", "input_text", "output_text", "thinking", "reasoning", "tool_call"})
_REASONING = ("reasoning", "reasoning_effort", "thinking", "enable_thinking", "chat_template_kwargs")
_ELSEWHERE = {
    "previous_response_id": "it goes on with a stored response",
    "conversation": "it goes on with a stored conversation",
    "web_search_options": "it may search the web",
    "plugins": "it uses plugins of the provider",
}
"""Fields whose prompt, or a part of it, is not in the body."""


@value(frozen=True)
class Reach:
    """What a request can use, as far as its body tells."""

    body_bytes: int
    """Of the body, without the data of what it carries inline: no text has more tokens than bytes."""
    messages: int
    images: int = 0
    """Carried inline, as are the next two."""
    sounds: int = 0
    files: int = 0
    open_because: str | None = None
    """Why the body does not bound the prompt; null if it does."""
    limit: int | None = None
    """The most tokens of an answer that it asks for; null: as many as the model makes."""
    choices: int = 1
    """Answers that it asks for, each of up to so many tokens."""
    predicted_bytes: int = 0
    """Of a predicted output, whose rejected tokens are billed beside the answer."""
    audio: bool = False
    """It sends sound, or asks for some."""
    tier: str | None = None
    """The service tier that it asks for, in the client's words."""
    searches: bool = False
    """The provider may search the web for it."""
    rigid_because: str | None = None
    """Why a smaller answer would be none at all; null if its limit may be lowered."""


def reach_of(body: bytes, *, generates: bool = True) -> Reach:
    """Reads a body that was found to be a JSON object. `generates`: an answer has tokens, which embeddings have not.

    Never raises: what makes no sense is the upstream's to refuse, and is bounded by what can be read of it.
    """
    clear = without_data(body)
    asked: dict[str, Any] = orjson.loads(clear)
    messages = asked.get("messages")
    parts = _Parts()
    if isinstance(messages, list):
        for message in messages:
            if isinstance(message, dict):
                parts.see(message.get("content"))
    limit = limit_of(asked) if generates else 0
    tools = [tool for tool in _list(asked.get("tools")) if isinstance(tool, dict)]
    tier = asked.get("service_tier")
    return Reach(
        body_bytes=len(clear),
        messages=len(messages) if isinstance(messages, list) else 0,
        images=parts.images,
        sounds=parts.sounds,
        files=parts.files,
        open_because=parts.elsewhere or _elsewhere(asked) or _hosted(tools),
        limit=limit,
        choices=_choices(asked) if generates else 1,
        predicted_bytes=len(orjson.dumps(asked["prediction"])) if "prediction" in asked else 0,
        audio=parts.sounds > 0 or "audio" in asked or "audio" in _list(asked.get("modalities")),
        tier=tier if isinstance(tier, str) else None,
        searches=may_search(asked),
        rigid_because=_rigid(asked, tools),
    )


class _Parts:
    """What messages carry beside text."""

    def __init__(self) -> None:
        self.images = self.sounds = self.files = 0
        self.elsewhere: str | None = None
        """What the body only names."""

    def see(self, content: object) -> None:
        for part in _list(content):
            if isinstance(part, dict):
                self._see(str(part.get("type")), part)

    def _see(self, kind: str, part: dict[str, Any]) -> None:
        if kind in _TEXT_PARTS:
            return
        if kind == "image_url":
            if _inline(part.get("image_url")):
                self.images += 1
            else:
                self.elsewhere = "it names an image by its address"
        elif kind == "input_audio":
            self.sounds += 1
        elif kind == "file" and isinstance(part.get("file"), dict) and "file_data" in part["file"]:
            self.files += 1
        elif kind == "tool_result":
            self.see(part.get("content"))
        else:
            self.elsewhere = f"it has a part of the kind {kind[:32]!r}"


def _inline(image: object) -> bool:
    address = image.get("url") if isinstance(image, dict) else image
    return isinstance(address, str) and address.startswith("data:")


# Loops, not generators: those take longer than all that they look at, and every call under a budget comes here.


def _elsewhere(asked: dict[str, Any]) -> str | None:
    for name, because in _ELSEWHERE.items():
        if asked.get(name) is not None:
            return because
    return None


def _hosted(tools: list[dict[str, Any]]) -> str | None:
    for tool in tools:
        if tool.get("type") not in ("function", "custom"):
            return f"it may use the tool {tool.get('type')}"
    return None


def _choices(asked: dict[str, Any]) -> int:
    """Answers: `n`, or as many as the best is chosen of, to each of several prompts."""
    wanted = 1
    for name in ("n", "best_of"):
        if name in asked:
            wanted = max(wanted, count_of(asked[name]) or 1)
    prompts = asked.get("prompt")
    several = isinstance(prompts, list) and bool(prompts) and not isinstance(prompts[0], int)
    return wanted * (len(prompts) if several and isinstance(prompts, list) else 1)


def _rigid(asked: dict[str, Any], tools: list[dict[str, Any]]) -> str | None:
    if tools or asked.get("functions"):
        return "it offers tools"
    for name in _REASONING:
        if asked.get(name) is not None:
            return "it asks for reasoning"
    form = asked.get("response_format")
    if isinstance(form, dict) and form.get("type") not in (None, "text"):
        return "it asks for JSON"
    return None


def _list(found: object) -> list[Any]:
    return found if isinstance(found, list) else []
