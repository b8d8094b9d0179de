"""Rules for names: providers and their kinds, models, targets, buckets, keys.

The kinds and buckets are told here a second time, because the settings lie below everything that owns them; tests
hold both lists together.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from gateway.settings.problems import Report, Wrong, did_you_mean
from gateway.settings.rules import quoted, scalar
from gateway.settings.schema import Default, Rule, Section, listing, read_section, setting
from gateway.settings.source import Node

KINDS = (
    "openai", "azure", "anthropic", "gemini", "mistral", "groq", "deepseek", "xai", "openrouter", "together",
    "fireworks", "perplexity", "cerebras",
    "vllm", "sglang", "llamacpp", "ollama", "lmstudio", "tgi", "mlx", "transformers", "simulated",
)  # fmt: skip

ADDRESS_NEEDED = ("azure", "vllm", "sglang", "llamacpp", "tgi", "mlx", "transformers")
"""The kinds without a usual address."""

BUCKETS = (
    "input", "cache_read", "cache_write_5m", "cache_write_1h", "cache_write", "output", "reasoning",
    "audio_in", "audio_out", "image_in", "image_out", "web_searches",
)  # fmt: skip

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_VISIBLE = re.compile(r"[!-~]{1,200}")


def name(what: str) -> Callable[[str], str]:
    """The rule for names of ours (`what`: "a provider's name"): letters, digits, `.`, `_`, `-`."""

    def check(text: str) -> str:
        if not _NAME.fullmatch(text):
            raise Wrong(
                f"{quoted(text)} cannot be {what}",
                "take up to 64 letters, digits, `.`, `_` and `-`, the first and the last a letter or digit",
            )
        return text

    return check


def alias(text: str) -> str:
    """A model name of ours: without a slash, so that it is never taken for a target. Raises `Wrong`."""
    if "/" in text:
        raise Wrong(f"{quoted(text)} cannot be a model's name", "a name with a slash is a target: leave the slash out")
    if not _VISIBLE.fullmatch(text) or "*" in text:
        raise Wrong(f"{quoted(text)} cannot be a model's name", "take visible ASCII characters, no space, no `*`")
    return text


def split_target(text: str) -> tuple[str, str]:
    """Provider and model of a target's name; the model may have slashes of its own. Raises `Wrong`."""
    provider, slash, model = text.partition("/")
    if not slash or not _NAME.fullmatch(provider) or not _VISIBLE.fullmatch(model):
        raise Wrong(f"{quoted(text)} is not a target", "write PROVIDER/MODEL, like openai/gpt-4o-mini")
    return provider, model


def priced_target(text: str) -> str:
    """A target's name, or `PROVIDER/*` for all targets of a provider. Raises `Wrong`."""
    _, model = split_target(text)
    if "*" in model and model != "*":
        raise Wrong(f"{quoted(text)} cannot be priced", "only PROVIDER/* stands for several targets")
    return text


def _kind(text: str) -> str:
    if text not in KINDS:
        raise Wrong(f"{quoted(text)} is not a known kind of provider", did_you_mean(text, KINDS))
    return text


def _lender(text: str) -> str:
    if _kind(text) == "simulated":
        raise Wrong("a simulated provider has no prices to borrow")
    return text


def bucket(text: str) -> str:
    """A bucket of usage that has a price. Raises `Wrong`."""
    if text.startswith("prediction_"):
        raise Wrong(f"`{text}` has no price of its own: these tokens are inside `output`")
    if text not in BUCKETS:
        raise Wrong(f"{quoted(text)} is not a bucket of usage", did_you_mean(text, BUCKETS))
    return text


def label(text: str) -> str:
    """The name of a label. Raises `Wrong`."""
    if not _NAME.fullmatch(text):
        raise Wrong(f"{quoted(text)} cannot be a label's name", "take letters, digits, `.`, `_` and `-`")
    return text


def _allowed(text: str) -> str:
    if not _VISIBLE.fullmatch(text) or "*" in text[:-1]:
        raise Wrong(f"{quoted(text)} is not a model's name", "a `*` stands at its end only, no space anywhere")
    return text


def one_target(text: str) -> str:
    """A target's name. Raises `Wrong`."""
    split_target(text)
    if "*" in text:
        raise Wrong(f"{quoted(text)} is not one target", "name each target")
    return text


kind = scalar("kind", _kind)
lender = scalar("kind", _lender)
target = scalar("target", one_target)
allowed_models = listing(scalar("model name", _allowed), "list of model names, `*` at the end of one: any")


@dataclass(frozen=True, slots=True, kw_only=True)
class _TargetEntry(Section):
    """The long form of a target in a list; its weight comes with the strategy that needs it."""

    LATER: ClassVar[Mapping[str, str]] = {"weight": "weights are"}

    target: str = setting(target, "The target.", Default.REQUIRED)


def _read_target(node: Node, report: Report) -> str | None:
    if isinstance(node.content, str):
        return target.read(node, report)
    return read_section(_TargetEntry, node, report).target


targets: Rule[tuple[str | None, ...]] = listing(Rule("target", _read_target), "list of targets")
