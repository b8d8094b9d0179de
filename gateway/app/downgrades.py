"""Models that calls are moved to, held against what the price book knows they make: text or embeddings.

What is moved where it cannot be answered would be refused, or stay as it is; the settings say so before a call does.
"""

from collections.abc import Iterator, Mapping

from gateway.core.pricing import PriceBook
from gateway.core.routing import Alias, Provider, Target
from gateway.core.scopes import ANY
from gateway.settings import Settings
from gateway.settings.budgets import Parts
from gateway.settings.problems import Problem


def downgrade_problems(
    settings: Settings, providers: Mapping[str, Provider], aliases: Mapping[str, Alias], prices: PriceBook
) -> Iterator[Problem]:
    """The budgets and rules of the file that move calls to a model that is known to make something else. What nobody
    knows is believed."""
    for path, model, scope, line in _downgrades(settings):
        embeds = _embeds(model, providers, aliases, prices)
        stated = None if scope is None else next((has for name, has in scope if name == "model" and has != ANY), None)
        if embeds is None or scope is None:
            continue
        asked = False if stated is None else _embeds(stated, providers, aliases, prices)
        if embeds and asked is False:
            message = f"`{model}` makes embeddings, and only calls for embeddings can be moved to it"
            hint = "name a model that makes text, or give it a `scope` with a `model` that makes embeddings"
            yield Problem(line, path, message, hint, settings.source)
        elif not embeds and asked:
            message = f"`{model}` makes text, and calls for embeddings, like those of `{stated}`, cannot be moved to it"
            yield Problem(line, path, message, "name a model that makes embeddings", settings.source)


def _downgrades(settings: Settings) -> Iterator[tuple[str, str, Parts | None, int | None]]:
    """Where the file says so, the model, whose calls (null: those of a budget that it does not declare), the line."""
    budgets = settings.budgets.named
    for name, budget in budgets.items():
        if budget.downgrade_to is not None:
            yield f"budgets.{name}.downgrade_to", budget.downgrade_to, budget.scope, budget.line
    for name, rule in settings.alerts.rules.items():
        if rule.downgrade_to is not None:
            watched = None if rule.budget is None else budgets.get(rule.budget)
            scope = (rule.scope or ()) if rule.budget is None else None if watched is None else watched.scope
            yield f"alerts.rules.{name}.downgrade_to", rule.downgrade_to, scope, rule.line


def _embeds(
    model: str, providers: Mapping[str, Provider], aliases: Mapping[str, Alias], prices: PriceBook
) -> bool | None:
    """Whether a model makes embeddings: all of its targets do; none, and one makes text. Null where nobody knows."""
    provider, _, own = model.partition("/")
    targets = aliases[model].targets if model in aliases else ()
    if not targets and provider in providers and own:
        targets = (Target(providers[provider], own),)
    known = {prices.facts(target).embeds for target in targets}
    if known == {True}:
        return True
    return False if False in known and True not in known else None
