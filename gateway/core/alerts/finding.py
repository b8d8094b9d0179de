"""What a rule finds, and what every rule is: a frozen value that makes a watch, which sees one minute after the other.

A finding is told once for each rule, subject and window (known fault 46), and again in the next window (47).
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeAlias

from gateway.core.accounts import shortened
from gateway.core.alerts.deed import Deed
from gateway.core.alerts.event import Severity
from gateway.core.alerts.facts import Minute
from gateway.core.alerts.sliding import Recent
from gateway.core.money import NANO_PER_USD, Nano, from_nano
from gateway.core.scopes import read, written
from gateway.core.value import value

Figure: TypeAlias = str | int | float | None

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@value(frozen=True)
class Finding:
    """That a rule's condition holds."""

    rule: str
    """The rule's name."""
    kind: str
    """`anomaly`, `forecast`, …"""
    type: str
    """Of the event (contract §8), `spend.anomaly`."""
    subject: str
    window: str
    """With rule and subject it says which alert this is."""
    severity: Severity
    at_us: int
    """The end of the minute that decided."""
    because: str
    """One sentence with the figures and the bound that decided."""
    facts: Mapping[str, Figure]
    concerns: Mapping[str, str]
    """What an action could act on: `key`, `session`, `model`, `target`, `budget`."""
    of_calls: bool = True
    """Whether it is about calls of its subject; what is about the gateway itself concerns nobody."""


class Watch(Protocol):
    """A rule at work. Its state is bounded, whatever it sees."""

    def see(self, minute: Minute) -> list[Finding]:
        """What this minute decides. Minutes come in order."""
        ...

    def explain(self, subject: str) -> str:
        """Where a subject stands after the last minute, and why it fired or did not (known fault 48)."""
        ...


class Rule(Protocol):
    """A frozen value with the rule's parameters."""

    @property
    def name(self) -> str: ...

    @property
    def history_days(self) -> int:
        """How many days before a moment a new watch must have seen to judge it as one that never stopped."""
        ...

    def watch(self) -> Watch:
        """A watch that has seen nothing yet."""
        ...


@value(frozen=True)
class Armed:
    """A rule with what follows from a finding."""

    rule: Rule
    channels: tuple[str, ...] = ()
    """Who is told."""
    deed: Deed | None = None
    """What it does; null: it tells, and that is all."""


class Told:
    """Which findings were told, of the last subjects and windows."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: Recent[str, bool] = Recent(20_000)

    def first(self, subject: str, window: str) -> bool:
        """Whether this is the first time; it is not from now on."""
        key = f"{subject}\n{window}"
        if self._told.get(key):
            return False
        self._told.put(key, True)
        return True

    def has(self, subject: str, window: str) -> bool:
        return bool(self._told.get(f"{subject}\n{window}"))


def concerned(subject: str) -> Mapping[str, str]:
    """The dimensions in a subject's text, `key=ci,model=fast`; none where it was shortened or stands for several."""
    parts = read(subject)
    return parts if written(parts) == subject and not shortened(subject) else {}


def day_of(at_us: int) -> str:
    """The UTC day of a moment, `2026-11-27`."""
    return f"{_EPOCH + timedelta(microseconds=at_us):%Y-%m-%d}"


def week_of(at_us: int) -> str:
    """The ISO week of a moment in UTC, `2026-W48`."""
    return f"{_EPOCH + timedelta(microseconds=at_us):%G-W%V}"


def hour_of(at_us: int) -> str:
    """The UTC hour of a moment, `2026-11-27T14`."""
    return f"{_EPOCH + timedelta(microseconds=at_us):%Y-%m-%dT%H}"


def moment_text(at_us: int) -> str:
    """A moment for a sentence, `2026-11-27 14:05 UTC`."""
    return f"{_EPOCH + timedelta(microseconds=at_us):%Y-%m-%d %H:%M} UTC"


def dollars(nano: Nano) -> str:
    """An amount for a sentence: two decimals, more where it is less than a dollar."""
    places = 2 if abs(nano) >= NANO_PER_USD or nano == 0 else 4
    return f"${from_nano(nano):,.{places}f}"


def span_text(minutes: int) -> str:
    """`5 minutes`, `6 hours`, `3 days`."""
    for unit, length in (("day", 1440), ("hour", 60)):
        if minutes % length == 0:
            count = minutes // length
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{minutes} minute{'s' if minutes > 1 else ''}"
