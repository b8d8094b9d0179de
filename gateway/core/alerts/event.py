"""An alert: what a rule has seen, of whom and in which window, and how that is told to programs and to people.

Knows no rule and no channel. Which facts an alert carries is up to its rule. What ends in `_nano` leaves as a decimal
text in USD, `spent_usd`; what ends in `_us` as a time, `likely_at`; everything else as it is.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import field, replace
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Final

from gateway.core.moments import moment
from gateway.core.money import usd_text
from gateway.core.value import value

TEST: Final = "test"
"""The type of an event that only tries a channel."""

REPORT: Final = "report.ready"
"""The type of an event whose sentence is all that a person needs: its facts are for programs."""

TITLES: Final[Mapping[str, str]] = {
    "budget.threshold": "budget {subject} has passed a threshold",
    "budget.exhausted": "budget {subject} is spent",
    "budget.forecast": "budget {subject} will not last to the end of its window",
    "spend.burn_rate": "{subject} spends too fast",
    "spend.anomaly": "{subject} spends far more than usual",
    "spend.runaway": "{subject} runs away",
    "price.unknown": "no price is known for {subject}",
    "price.changed": "the price of {subject} has changed",
    "metering.gap": "the usage of {subject} is not fully known",
    "provider.down": "{subject} does not answer",
    "provider.up": "{subject} answers again",
    "provider.errors": "{subject} answers with errors",
    "latency.slow": "{subject} is slow",
    REPORT: "the report {subject} is ready",
    TEST: "test of the channel {subject}",
}
"""Every type of event, and what it says at a glance."""

_WITH_FACTS: Final[Mapping[str, tuple[str, ...]]] = {
    "budget.threshold": (
        "budget {budget} ({subject}): {percent} % of {limit_usd} spent",
        "budget {subject}: {percent} % of {limit_usd} spent",
    ),
    "budget.exhausted": (
        "budget {budget} ({subject}) is spent: {spent_usd} of {limit_usd}",
        "budget {subject} is spent: {spent_usd} of {limit_usd}",
    ),
    "budget.forecast": ("budget {budget} ({subject}) will not last to the end of its window",),
    "spend.burn_rate": ("budget {budget} ({subject}) is spent too fast",),
    "spend.anomaly": ("{subject} spent {spent_usd}, usual is {usual_usd}",),
    REPORT: ("{report} {period}: {cost_usd} for {calls} calls",),
}
"""What it says where these facts are there: the first that has all of them."""


class State(StrEnum):
    """Where an alert stands; it only moves on."""

    RAISED = "raised"
    ACKNOWLEDGED = "acknowledged"
    """Somebody knows and sees to it."""
    RESOLVED = "resolved"


class Severity(StrEnum):
    """How soon somebody must look."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@value(frozen=True)
class Alert:
    """That a rule fired. There is one of each rule, subject and window, whoever sees it and however often."""

    rule: str
    kind: str
    """The type of its events, one of `TITLES`."""
    subject: str
    """Of whom: a budget, a provider, `key=ci`."""
    window: str
    """Within which there is one alert: `2026-11`, `2026-11/80`, the moment an outage began. Any text."""
    raised_us: int
    severity: Severity = Severity.WARNING
    facts: Mapping[str, object] = field(default_factory=dict)
    """What there is to know, JSON values by name."""
    because: str = ""
    """One sentence with the figures that decided, the first that a person reads; empty: there is none."""
    state: State = State.RAISED
    acknowledged_us: int | None = None
    resolved_us: int | None = None

    @property
    def id(self) -> str:
        """The same for the same rule, subject and window, in every process."""
        return alert_id(self.rule, self.subject, self.window)

    @property
    def changed_us(self) -> int:
        """When it came into its state."""
        if self.state is State.RESOLVED:
            return self.resolved_us or self.raised_us
        return (self.acknowledged_us if self.state is State.ACKNOWLEDGED else None) or self.raised_us


def alert_id(rule: str, subject: str, window: str) -> str:
    """The id of the one alert of this rule, subject and window."""
    return f"alert-{_digest(plain(rule), plain(subject), plain(window))}"


def link_to(base: str | None, alert: str = "") -> str | None:
    """Where an alert is shown, by its id, or all of them; null where nobody knows how the gateway is reached."""
    return None if base is None else f"{base}/admin/alerts/{alert}".rstrip("/")


def plain(text: str) -> str:
    """A text that every database keeps: what a client named may hold lone surrogates and NUL."""
    return text.encode(errors="replace").decode().replace("\0", "?")


def message_id(alert: Alert, channel: str) -> str:
    """The `webhook-id` of what tells one channel of the state that an alert is in."""
    return f"msg-{_digest(alert.id, alert.state.value, channel)}"


def acknowledged(alert: Alert, at_us: int) -> Alert:
    return replace(alert, state=State.ACKNOWLEDGED, acknowledged_us=at_us)


def resolved(alert: Alert, at_us: int) -> Alert:
    return replace(alert, state=State.RESOLVED, resolved_us=at_us)


def trial_of(channel: str, at_us: int) -> Alert:
    """What a channel is tried with: like an alert, and none."""
    because = "Sent by hand to see whether this channel works; nothing has happened."
    return Alert(TEST, TEST, channel, str(at_us), at_us, Severity.INFO, because=because)


def title_of(alert: Alert) -> str:
    """One line that a person understands at a glance."""
    shown = {name: _shown(name, known) for name, known in facts_of(alert).items()} | {"subject": alert.subject}
    usual = TITLES.get(alert.kind, f"{alert.kind}: {{subject}}")
    fitting = [template for template in _WITH_FACTS.get(alert.kind, ()) if _fits(template, shown)]
    template = fitting[0] if fitting else usual
    line = " ".join(template.format_map(shown).split())
    if not template.startswith("{"):  # a name stays as it is
        line = line[:1].upper() + line[1:]
    plainly = alert.state is State.RAISED or alert.kind == REPORT  # which waits for nobody
    return line if plainly else f"{alert.state.value.capitalize()}: {line}"


def text_of(alert: Alert, link: str | None) -> str:
    """A few lines: what is known, since when, which rule says so, and where to look."""
    lines = [alert.because] if alert.because else []
    if alert.kind != REPORT:
        lines += [f"{_label(name)}: {_shown(name, known)}" for name, known in facts_of(alert).items()]
    lines.append(f"since: {moment(alert.raised_us)}")
    if alert.kind != TEST:
        lines.append(f"rule: {alert.rule}, {alert.severity.value}")
    if link is not None:
        lines.append(link)
    return "\n".join(lines)


def facts_of(alert: Alert) -> dict[str, object]:
    """What there is to know, as everybody outside reads it."""
    return outside(alert.facts)


def outside(facts: Mapping[str, object]) -> dict[str, object]:
    """Figures with money and times as the contract writes them."""
    shown: dict[str, object] = {}
    for name, known in facts.items():
        if name.endswith("_nano") and (known is None or isinstance(known, int)):
            shown[name.removesuffix("_nano") + "_usd"] = usd_text(known)
        elif name.endswith("_us") and (known is None or isinstance(known, int)):
            shown[name.removesuffix("_us") + "_at"] = None if known is None else moment(known)
        else:
            shown[name] = known
    return shown


def event_of(alert: Alert, link: str | None) -> dict[str, object]:
    """The event that tells of the state that an alert is in, as JSON values (contract §8)."""
    return {
        "type": alert.kind,
        "timestamp": moment(alert.changed_us),
        "data": {
            "alert": None if alert.kind == TEST else alert.id,
            "rule": None if alert.kind == TEST else alert.rule,
            "subject": alert.subject,
            "window": alert.window,
            "state": alert.state.value,
            "severity": alert.severity.value,
            "link": link,
            "title": title_of(alert),
            "text": text_of(alert, link),
            "because": alert.because or None,
            "facts": facts_of(alert),
        },
    }


def _fits(template: str, shown: Mapping[str, str]) -> bool:
    return all(part.partition("}")[0] in shown for part in template.split("{")[1:])


def _label(name: str) -> str:
    return name.removesuffix("_usd").replace("_", " ")


def _shown(name: str, known: object) -> str:
    if known is None:
        return "unknown"
    if name.endswith("_usd") and isinstance(known, str):
        return _dollars(known)
    return known if isinstance(known, str) else json.dumps(known, ensure_ascii=False)


def shown_usd(text: str | None) -> str:
    """Decimal text in USD, for people."""
    return "an unknown sum" if text is None else _dollars(text)


def _dollars(text: str) -> str:
    """To the cent where that says enough, else as exactly as it was given."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return text
    cents = f"{amount:.2f}"
    exact = f"{amount.normalize():f}"
    return f"${cents}" if abs(amount) >= 1 or amount == Decimal(cents) else f"${exact}"


def _digest(*parts: str) -> str:
    """80 bits of what the parts say together; no dot in it, for a `webhook-id` is signed between dots."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]
