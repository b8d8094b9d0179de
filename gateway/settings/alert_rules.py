"""Alert rules as the file states them: a kind, what it watches, and only the parameters that this kind has.

The words are told here a second time, because the settings lie below what owns them; tests hold both together.
"""

# ruff: noqa: RUF009 - `setting` makes a field, as `dataclasses.field` does

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from gateway.settings import rules
from gateway.settings.budgets import DIMENSIONS, Parts, limit_usd, percentages
from gateway.settings.budgets import scope as scope_rule
from gateway.settings.problems import Report, Wrong
from gateway.settings.rules import scalar
from gateway.settings.schema import Default, Rule, Section, entries_of, listing, read_section, setting
from gateway.settings.source import Node

TAKES: Mapping[str, tuple[str, ...]] = {
    "threshold": ("budget", "at"),
    "forecast": ("budget", "sure", "within", "after"),
    "burn_rate": ("budget", "min_usd"),
    "anomaly": ("scope", "min_usd", "deviations", "creep_deviations"),
    "runaway": ("min_usd", "repeats", "failures", "grown_tokens", "calls", "beyond"),
    "price_unknown": ("scope", "calls"),
    "price_changed": ("percent",),
    "metering_gap": ("scope", "minutes", "calls", "unpriced", "unmetered", "estimated", "behind"),
    "latency": ("scope", "minutes", "calls", "above", "measure", "percentile"),
    "errors": ("scope", "minutes", "calls", "share"),
}
"""The parameters of each kind, besides those of every rule."""
TELLS_APART: Mapping[str, tuple[str, ...]] = {
    "anomaly": ("key",),
    "runaway": ("key", "session"),
    "price_unknown": ("target",),
    "price_changed": ("target",),
    "metering_gap": ("target",),
    "latency": ("target",),
    "errors": ("target",),
}
"""What a kind that watches no budget tells calls apart by, unless the rule states a `scope`."""
NEEDS: Mapping[str, tuple[str, ...]] = {
    "threshold": ("budget",),
    "forecast": ("budget",),
    "burn_rate": ("budget",),
    "latency": ("above",),
}
_OF_EVERY_RULE = ("kind", "channels", "action", "lower_to", "downgrade_to", "ask")
OF_ACTIONS: Mapping[str, str] = {"lower": "lower_to", "downgrade": "downgrade_to"}
"""What an action needs."""


def _number(low: str, high: str) -> Rule[float]:
    def parse(text: str) -> float:
        if not Decimal(low) <= rules.decimal_of(text) <= Decimal(high):
            raise Wrong(f"must be from {low} to {high}, and {text} is not")
        return float(text)

    return scalar(f"number, {low} to {high}", parse)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRuleSettings(Section):
    """What to watch for. A parameter that is left out has the default of its kind, see `docs/alert-rules.md`."""

    kind: str = setting(rules.choice(*TAKES), "What it watches for.", Default.REQUIRED)
    channels: tuple[str, ...] = setting(
        listing(rules.line_of_text, "list of channels"), "Who is told; nobody: it is listed, and that is all.", "[]"
    )
    budget: str | None = setting(rules.line_of_text, "The budget that it watches.")
    scope: Parts | None = setting(
        scope_rule(*DIMENSIONS),
        'Whose calls it watches: `{team: search, key: "*"}`; "*" watches each value by itself.',
    )
    at: tuple[int, ...] | None = setting(
        percentages,
        "Percentages of the limit, going up.",
        shown="the budget's `alert_at`",
    )
    sure: bool | None = setting(rules.flag, "Tell only if the latest moment of the forecast lies in the window too.")
    within: float | None = setting(rules.duration("1h", "400d"), "Tell only of what is forecast so soon.")
    after: float | None = setting(rules.duration("1h", "28d"), "How much course must be known.")
    min_usd: Decimal | None = setting(rules.money("1000000"), "Less than this tells nobody.")
    deviations: float | None = setting(_number("1", "1000"), "Robust standard deviations that a burst is beyond.")
    creep_deviations: float | None = setting(
        _number("1", "1000"), "Robust standard deviations that a creep over days is beyond."
    )
    repeats: int | None = setting(rules.integer(2, 1_000_000), "Calls of nearly the same size in ten minutes.")
    failures: int | None = setting(rules.integer(2, 1_000_000), "Failed calls in ten minutes.")
    grown_tokens: int | None = setting(rules.integer(100, 100_000_000), "Of a prompt that grows from call to call.")
    calls: int | None = setting(rules.integer(1, 10_000_000), "Calls: fewer tell nobody; `runaway`: in ten minutes.")
    beyond: float | None = setting(_number("1", "1000"), "How many times what the key did before.")
    percent: float | None = setting(_number("0", "1000"), "Changes of a price up to this tell nobody.")
    minutes: int | None = setting(rules.integer(1, 1440), "The span that is looked at.")
    unpriced: float | None = setting(rules.share("1"), "The share of answers without a known cost.")
    unmetered: float | None = setting(rules.share("1"), "The share of answers without usage.")
    estimated: float | None = setting(rules.share("1"), "How far the share of estimates may rise.")
    behind: float | None = setting(rules.duration("1s", "1d"), "How long a record may wait for the ledger.")
    above: float | None = setting(rules.duration("1ms", "1h"), "What the percentile must pass.")
    measure: str | None = setting(rules.choice("ttft", "duration"), "What is measured.")
    percentile: int | None = setting(rules.integer(1, 100), "Which percentile.")
    share: float | None = setting(rules.share("1"), "The share of calls that fail.")
    action: str | None = setting(rules.choice("freeze", "lower", "downgrade"), "What it does, beside telling.")
    lower_to: Decimal | None = setting(limit_usd, "What `lower` lowers the budget's limit to, USD.")
    downgrade_to: str | None = setting(rules.line_of_text, "The model that `downgrade` has asked instead.")
    ask: bool = setting(rules.flag, "Do it only when a person confirms it.", "false")
    line: int | None = None


def _read(node: Node, report: Report) -> AlertRuleSettings:
    """A rule. Parameters of another kind, and missing ones, are reported."""
    rule = read_section(AlertRuleSettings, node, report)
    if rule.kind not in TAKES:
        return rule
    allowed = (*_OF_EVERY_RULE, *TAKES[rule.kind])
    entries = entries_of(node)
    for name, child in entries.items():
        if name not in allowed and hasattr(rule, name):
            hint = f"it takes {', '.join(TAKES[rule.kind])}"
            report.add(child.path, child.origin, f"a rule of kind {rule.kind} has no `{name}`", hint)
    for name in NEEDS.get(rule.kind, ()):
        if name not in entries:
            report.add(node.path, node.origin, f"`{name}` is missing", f"a rule of kind {rule.kind} needs it")
    return rule


alert_rule: Rule[AlertRuleSettings] = Rule("section", _read, scalar=False, section=AlertRuleSettings)
"""One rule; `mapping(alert_rule, "NAME", names.name("a rule's name"))` reads all of them by name."""
