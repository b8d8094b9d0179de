"""Who can be asked: providers, targets, aliases, and the plan of one call.

The names are those of the contract §1: a target is a provider and the provider's own model name.
"""

from dataclasses import dataclass, field

HOP_HEADER = "x-tollkeeper-hop"
"""Marks what went through a gateway of ours; a call that arrives with it runs in a circle."""


@dataclass(frozen=True, slots=True)
class Quirks:
    """Where a kind departs from OpenAI's wire format."""

    refuses_stream_options: bool = False
    """`stream_options` is an error there: usage is not asked for on the client's behalf."""
    limits_completion: bool = False
    """An answer is limited by `max_completion_tokens`; elsewhere by `max_tokens`."""


@dataclass(frozen=True, slots=True)
class Provider:
    """An upstream account or server, without its secrets and its address."""

    name: str
    kind: str
    at_home: bool
    """The base URL is the kind's own: only then does the book price it by (kind, model)."""
    quirks: Quirks = Quirks()
    region: str | None = None
    """Of a regional address of the kind, which bills an uplift."""
    picture_tokens: int | None = None
    """The most tokens that a picture in a prompt is billed as; null: nobody says."""


@dataclass(frozen=True, slots=True)
class Target:
    """A provider and the provider's model name."""

    provider: Provider
    model: str
    name: str = field(init=False, compare=False)
    """`provider/model`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"{self.provider.name}/{self.model}")


@dataclass(frozen=True, slots=True)
class Alias:
    """A model name of ours and the targets that answer to it, in the order of preference."""

    name: str
    targets: tuple[Target, ...]
    default_limit: int | None = None
    """Tokens of an answer, sent where the client states no limit; null: the model's own counts."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How long and how often one call may try; seconds."""

    attempts: int = 3
    timeout: float = 600.0
    connect_timeout: float = 5.0
    first_byte_timeout: float = 300.0
    """Holds for streams only."""
    idle_timeout: float = 300.0
    retry_uncertain: bool = False
    """Repeat an attempt that may have been billed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The attempts of one call, in order, and how its model name was understood."""

    targets: tuple[Target, ...]
    resolved_by: str
    """`target`, `alias`, `price_book` or `listing`."""
    default_limit: int | None = None
    """Of the alias."""
