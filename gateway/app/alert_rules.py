"""From settings to alert rules: the core's values, with the core's defaults where the file says nothing."""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.core.alerts.anomaly import Anomaly
from gateway.core.alerts.burn_rate import BurnRate
from gateway.core.alerts.deed import Act, Deed
from gateway.core.alerts.finding import Armed, Rule
from gateway.core.alerts.forecast import Forecast
from gateway.core.alerts.metering import MeteringGap
from gateway.core.alerts.prices import PriceChanged, PriceUnknown
from gateway.core.alerts.runaway import Runaway
from gateway.core.alerts.service import Errors, Latency
from gateway.core.alerts.threshold import Threshold
from gateway.core.money import to_nano
from gateway.core.scopes import scope_of
from gateway.settings.alert_rules import NEEDS, TAKES, AlertRuleSettings

KINDS: Mapping[str, Callable[..., Rule]] = {
    "threshold": Threshold,
    "forecast": Forecast,
    "burn_rate": BurnRate,
    "anomaly": Anomaly,
    "runaway": Runaway,
    "price_unknown": PriceUnknown,
    "price_changed": PriceChanged,
    "metering_gap": MeteringGap,
    "latency": Latency,
    "errors": Errors,
}
WITHOUT_PARAMETERS = tuple(kind for kind in KINDS if kind not in NEEDS)
"""The kinds that make sense by their defaults alone."""

_READ: Mapping[str, tuple[str, Callable[[Any], object]]] = {
    "min_usd": ("min_nano", to_nano),
    "scope": ("scope", scope_of),
    "within": ("within_us", lambda seconds: round(seconds * 1_000_000)),
    "after": ("after_hours", lambda seconds: round(seconds / 3600)),
    "above": ("above_ms", lambda seconds: seconds * 1000),
    "behind": ("behind_s", float),
}
"""How a setting is called in the core, and how it is written there; others are the same in both."""
_CALLS_OF = {"metering_gap": "answers"}


def rule_of(name: str, given: AlertRuleSettings) -> Rule:
    """A rule as the settings describe it. Raises `Fault` (invalid) for a scope that cannot be."""
    values: dict[str, object] = {}
    for setting in TAKES[given.kind]:
        stated = getattr(given, setting)
        if stated is None:
            continue
        word, read = _READ.get(setting, (setting, _as_it_is))
        if word == "calls":
            word = _CALLS_OF.get(given.kind, word)
        values[word] = read(stated)
    return KINDS[given.kind](name=name, **values)


def armed(name: str, given: AlertRuleSettings) -> Armed:
    """A rule with its channels and what it does. Raises `Fault` (invalid)."""
    return Armed(rule_of(name, given), given.channels, _deed(given))


def _deed(given: AlertRuleSettings) -> Deed | None:
    if given.action is None:
        return None
    limit = None if given.lower_to is None else to_nano(given.lower_to)
    return Deed(Act(given.action), limit, given.downgrade_to, given.ask)


def default_rule(kind: str) -> Armed:
    """A rule of this kind, one of `WITHOUT_PARAMETERS`, with its defaults; the kind is its name."""
    return Armed(KINDS[kind](name=kind))


def _as_it_is(stated: object) -> object:
    return stated
