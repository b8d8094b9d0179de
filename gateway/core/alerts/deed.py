"""What an alert rule does when it fires, beside telling: stated with the rule."""

from enum import StrEnum

from gateway.core.money import Nano
from gateway.core.value import value


class Act(StrEnum):
    """What is done."""

    FREEZE = "freeze"
    """A key is refused."""
    LOWER = "lower"
    """A budget's limit is no more than this."""
    DOWNGRADE = "downgrade"
    """Another model is asked."""


@value(frozen=True)
class Deed:
    """What a rule does."""

    act: Act
    limit_nano: Nano | None = None
    """`lower`: to this."""
    model: str | None = None
    """`downgrade`: to this."""
    asks: bool = False
    """Only when a person confirms it."""
