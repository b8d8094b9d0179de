"""What no single value can show: whether names and settings fit together.

Works on settings that were read, some of which may have been wrong; what was told when it was read is not told again.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TypeAlias

from gateway.settings.alert_rules import OF_ACTIONS, TAKES, TELLS_APART, AlertRuleSettings
from gateway.settings.budgets import BudgetSettings, Parts
from gateway.settings.limits import LimitSettings
from gateway.settings.model import PriceSettings, ProviderSettings, Settings
from gateway.settings.names import ADDRESS_NEEDED, one_target, split_target
from gateway.settings.problems import Report, Wrong, did_you_mean
from gateway.settings.source import Node


def check(settings: Settings, tree: Node, report: Report) -> None:
    """Report everything that does not fit together."""
    for name, provider in settings.providers.items():
        _check_provider(name, provider, tree, report)
    # A provider that was itself refused is known all the same.
    written = tree.below("providers")
    names = {*settings.providers, *(written.content if written and isinstance(written.content, Mapping) else ())}
    for name in settings.models:
        _check_model(name, names, tree, report)
    for target, price in settings.prices.targets.items():
        _check_price(target, price, names, tree, report)
    _check_keys(settings, tree, report)
    for name, limit in settings.limits.items():
        _check_limit(name, limit, tree, report)
    for name, budget in settings.budgets.named.items():
        _check_budget(name, budget, settings, names, tree, report)
    for name in settings.alerts.channels:
        _check_channel(name, tree, report)
    for name, summary in settings.alerts.reports.items():
        _check_channels("reports", name, summary.channels, settings, tree, report)
        _check_names(name, settings, tree, report)
    for name, rule in settings.alerts.rules.items():
        _check_channels("rules", name, rule.channels, settings, tree, report)
        _check_action(name, rule, settings, names, tree, report)


def _check_provider(name: str, provider: ProviderSettings, tree: Node, report: Report) -> None:
    node = tree.below("providers", name)
    if node is None:
        return  # from the environment, where nothing can be contradictory
    simulated = provider.kind == "simulated"
    for key in ("base_url", "api_key") if simulated else ("simulate",):
        if stated := node.below(key):
            whose = "a simulated provider has none" if simulated else "it is for the kind `simulated` only"
            report.add(stated.path, stated.origin, f"`{key}` has no meaning here", whose)
    if provider.kind in ADDRESS_NEEDED and node.below("base_url") is None:
        message = f"`base_url` is missing: a provider of kind {provider.kind} has no usual address"
        report.add(node.path, node.origin, message)


def _check_model(name: str, providers: set[str], tree: Node, report: Report) -> None:
    targets = tree.below("models", name, "targets")
    if targets is None or not isinstance(targets.content, tuple):
        return
    if not targets.content:
        report.add(targets.path, targets.origin, "names no target")
    for item in targets.content:
        stated = item.below("target") or item
        if isinstance(stated.content, str):
            _check_target(stated.content, stated, providers, report)


def _check_target(text: str, node: Node, providers: set[str], report: Report) -> None:
    try:
        provider, _ = split_target(text)
    except Wrong:
        return  # told when it was read
    if provider not in providers:
        hint = did_you_mean(provider, sorted(providers)) if providers else "name it under `providers:`"
        report.add(node.path, node.origin, f"there is no provider `{provider}`", hint)


def _check_price(target: str, price: PriceSettings, providers: set[str], tree: Node, report: Report) -> None:
    node = tree.below("prices", target)
    if node is None or not isinstance(node.content, Mapping):
        return
    _check_target(target, node, providers, report)
    forms = [form for form in ("usd_per_million", "usd_per_call", "free", "like") if form in node.content]
    if len(forms) != 1:
        message = f"states {len(forms)} prices ({', '.join(forms)})" if forms else "states no price"
        hint = "write exactly one of usd_per_million, usd_per_call, free, like"
        report.add(node.path, node.origin, message, hint)
    elif price.usd_per_million is not None and not node.content["usd_per_million"].content:
        report.add(node.path, node.origin, "`usd_per_million` names no bucket", "write it like {input: 0.05}")


def _check_keys(settings: Settings, tree: Node, report: Report) -> None:
    first: dict[tuple[str, str], str] = {}
    for name in settings.keys:
        node = tree.below("keys", name)
        secret = tree.below("keys", name, "secret")
        if node is None or secret is None or not isinstance(secret.content, str):
            continue
        other = first.setdefault((str(secret.origin.folder), secret.content), name)
        if other != name:
            report.add(node.path, node.origin, f"has the same secret as the key `{other}`", "every key has its own")


def _check_channel(name: str, tree: Node, report: Report) -> None:
    node = tree.below("alerts", "channels", name)
    if node is None or not isinstance(node.content, Mapping):
        return
    ways = [way for way in ("webhook", "apprise") if way in node.content]
    if len(ways) != 1:
        message = "leads to two places" if ways else "leads nowhere"
        report.add(node.path, node.origin, message, "write exactly one of webhook, apprise")
    elif ways == ["webhook"] and "secret" not in node.content:
        hint = "deliveries are signed with it: `secret: env:NAME`"
        report.add(node.path, node.origin, "`secret` is missing", hint)
    elif ways == ["apprise"] and (secret := node.below("secret")):
        report.add(secret.path, secret.origin, "`secret` has no meaning here", "it signs webhooks only")


def _check_budget(
    name: str, budget: BudgetSettings, settings: Settings, providers: set[str], tree: Node, report: Report
) -> None:
    node = tree.below("budgets", name)
    if node is None:
        return
    stated = node.below("downgrade_to")
    if budget.on_exhausted == "downgrade":
        exhausted = node.below("on_exhausted") or node
        if budget.mode == "soft":
            message = "a soft budget refuses nothing, so it has nothing to downgrade"
            report.add(exhausted.path, exhausted.origin, message, "write mode: hard, or leave this out")
        if stated is None:
            hint = "name a model of `models:`, or a target, PROVIDER/MODEL"
            report.add(exhausted.path, exhausted.origin, "`downgrade_to` is missing", hint)
    elif stated is not None:
        report.add(stated.path, stated.origin, "has no meaning without `on_exhausted: downgrade`", "write both or none")
    if stated is not None and budget.downgrade_to is not None:
        _check_asked_for(budget.downgrade_to, stated, settings, providers, report)


def _check_asked_for(model: str, stated: Node, settings: Settings, providers: set[str], report: Report) -> None:
    """A model as a client asks for it, that somebody serves."""
    if "/" in model and model not in settings.models:
        try:
            one_target(model)
        except Wrong as wrong:
            report.add(stated.path, stated.origin, wrong.message, wrong.hint)
        _check_target(model, stated, providers, report)
    elif model not in settings.models:
        hint = did_you_mean(model, settings.models) if settings.models else "write a target, PROVIDER/MODEL"
        report.add(stated.path, stated.origin, f"there is no model `{model}` under `models:`", hint)


def _check_limit(name: str, limit: LimitSettings, tree: Node, report: Report) -> None:
    node = tree.below("limits", name)
    if node is not None and (limit.rpm, limit.tpm, limit.in_flight) == (None, None, None):
        report.add(node.path, node.origin, "limits nothing", "state rpm, tpm or in_flight")


def _check_names(name: str, settings: Settings, tree: Node, report: Report) -> None:
    """Alerts are told apart by what made them."""
    node = tree.below("alerts", "reports", name)
    if node is not None and name in settings.alerts.rules:
        report.add(node.path, node.origin, "a rule has the same name", "take another name")


def _check_channels(
    what: str, name: str, channels: tuple[str, ...], settings: Settings, tree: Node, report: Report
) -> None:
    node = tree.below("alerts", what, name, "channels")
    for channel in channels if node is not None else ():
        if node is not None and channel not in settings.alerts.channels:
            hint = did_you_mean(channel, settings.alerts.channels) if settings.alerts.channels else "declare it there"
            report.add(node.path, node.origin, f"there is no channel `{channel}` under `alerts.channels`", hint)


def _check_action(
    name: str, rule: AlertRuleSettings, settings: Settings, providers: set[str], tree: Node, report: Report
) -> None:
    node = tree.below("alerts", "rules", name)
    if node is None or not isinstance(node.content, Mapping):
        return
    for action, needed in OF_ACTIONS.items():
        stated = node.below(needed)
        if rule.action == action and stated is None:
            report.add(node.path, node.origin, f"`{needed}` is missing", f"`action: {action}` needs it")
        elif rule.action != action and stated is not None:
            report.add(stated.path, stated.origin, f"has no meaning without `action: {action}`", "write both or none")
    if rule.ask and rule.action is None and (asked := node.below("ask")):
        report.add(asked.path, asked.origin, "there is nothing to confirm", "state an `action`, or leave this out")
    _check_does_something(node, rule, settings, providers, report)
    why = _ACTION_NEEDS[rule.action](rule, settings) if rule.action in _ACTION_NEEDS else None
    if why is not None and (acts := node.below("action")):
        report.add(acts.path, acts.origin, *why)


def _check_does_something(
    node: Node, rule: AlertRuleSettings, settings: Settings, providers: set[str], report: Report
) -> None:
    """A model that somebody serves, and another one; a limit below the one that there is."""
    stated = node.below("downgrade_to")
    if rule.action == "downgrade" and rule.downgrade_to is not None and stated is not None:
        _check_asked_for(rule.downgrade_to, stated, settings, providers, report)
        if ("model", rule.downgrade_to) in _scope(rule, settings):
            report.add(stated.path, stated.origin, "these calls ask for that model already", "name another one")
    if rule.action == "lower" and rule.lower_to is not None and (stated := node.below("lower_to")):
        limit = _limit_in_file(rule.budget or "", settings)
        if limit is not None and rule.lower_to >= limit:
            message = f"the limit of the budget {rule.budget} is {limit} anyway, and {rule.lower_to} is not below that"
            report.add(stated.path, stated.origin, message, "state what it is to be lowered to, USD")


_Why: TypeAlias = tuple[str, str | None] | None


def _scope(rule: AlertRuleSettings, settings: Settings) -> Parts:
    """Whose calls it watches, as far as the file says."""
    budget = settings.budgets.named.get(rule.budget or "")
    return budget.scope if budget is not None else rule.scope or ()


def _limit_in_file(budget: str, settings: Settings) -> Decimal | None:
    """What the file says that may be spent of a budget, a key's own too; null if it declares none of that name."""
    named = settings.budgets.named.get(budget)
    if named is not None:
        return named.limit_usd
    prefix, _, key = budget.partition(":")
    owner = settings.keys.get(key) if prefix == "key" else None
    return None if owner is None or owner.budget is None else owner.budget[0]


def _nobody_to_freeze(rule: AlertRuleSettings, settings: Settings) -> _Why:
    if "key" in _dimensions(rule, settings):
        return None
    takes = TAKES.get(rule.kind, ())
    hint = 'anomaly and runaway do, and rules with a `scope` that has `key: "*"`'
    if "scope" in takes:
        hint = 'give it a `scope` with `key: "*"`'
    elif "budget" in takes:
        hint = f"only a budget with `key` in its `scope` does, and {rule.budget} has none"
    return ("this rule does not tell keys apart, so it cannot freeze one", hint)


def _nothing_to_lower(rule: AlertRuleSettings, settings: Settings) -> _Why:
    if "budget" not in TAKES.get(rule.kind, ()):
        return ("this rule watches no budget that it could lower", "threshold, forecast and burn_rate do")
    scope = _scope(rule, settings)
    apart = [name for name, fixed in scope if fixed == "*" or (name, fixed[-2:]) == ("tag", "=*")]
    if not apart:
        return None
    message = f"the budget {rule.budget} counts each {apart[0]} apart, and has one limit for all of them"
    return (message, "it would be lowered for everybody, whoever is found: watch a budget of one, or freeze")


def _known_too_late(rule: AlertRuleSettings, settings: Settings) -> _Why:
    if not _dimensions(rule, settings) & {"target", "provider"}:
        return None
    hint = "give it a `scope` of keys, teams, models or tags" if "scope" in TAKES.get(rule.kind, ()) else None
    return ("it watches who is asked, which is known only after the model is", hint)


def _dimensions(rule: AlertRuleSettings, settings: Settings) -> set[str]:
    """What the rule, or its budget, tells calls apart by. Of a budget that the file does not declare, or that is a
    key's own: keys."""
    if rule.budget is not None and rule.budget not in settings.budgets.named:
        return {"key"}
    scope = rule.scope if rule.budget is None else settings.budgets.named[rule.budget].scope
    return set(TELLS_APART.get(rule.kind, ())) if scope is None else {dimension for dimension, _ in scope}


_ACTION_NEEDS: Mapping[str | None, Callable[[AlertRuleSettings, Settings], _Why]] = {
    "freeze": _nobody_to_freeze,
    "lower": _nothing_to_lower,
    "downgrade": _known_too_late,
}
