"""Call → plan: which targets to ask, in order, and how the model's name was understood (contract §4).

A name is, in this order: a target (`provider/model`), an alias, a model that the price book knows for a provider
at its own address, or a model that some provider lists.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gateway.core.errors import Fault, Kind
from gateway.core.pricing import PriceBook
from gateway.core.routing import Alias, Plan, Provider, Target
from gateway.ports import Directory


class Route:
    """Step three."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        aliases: Mapping[str, Alias],
        prices: PriceBook,
        directory: Directory,
        *,
        refuse_unpriced: bool,
    ) -> None:
        self._providers = providers
        self._aliases = aliases
        self._prices = prices
        self._directory = directory
        self._refuse_unpriced = refuse_unpriced
        self._known: dict[str, Plan] = {}
        prices.watch(self._known.clear)

    async def __call__(self, model: str) -> Plan:
        """Raises `Fault` (model unknown, price unknown)."""
        plan = self._known.get(model)
        if plan is None:
            plan = self._configured(model)
            if plan is not None:
                self._remember(model, plan)
            else:
                plan = Plan(await self._directory.find(model), "listing")
        if not plan.targets:
            raise await self._unknown(model)
        return self._priced(model, plan) if self._refuse_unpriced else plan

    def _configured(self, model: str) -> Plan | None:
        """What configuration and price book alone say; None if only the providers can tell."""
        name, slash, rest = model.partition("/")
        if slash and rest and name in self._providers:
            return Plan((Target(self._providers[name], rest),), "target")
        if model in self._aliases:
            alias = self._aliases[model]
            return Plan(alias.targets, "alias", alias.default_limit)
        found = tuple(
            Target(provider, model)
            for provider in self._providers.values()
            if provider.at_home and model in self._prices.models(provider.kind)
        )
        return Plan(found[:1], "price_book") if found else None

    def _remember(self, model: str, plan: Plan) -> None:
        if len(self._known) >= 10_000:  # names come from clients
            self._known.clear()
        self._known[model] = plan

    def _priced(self, model: str, plan: Plan) -> Plan:
        priced = []
        for target in plan.targets:
            price = self._prices.find(target)
            if price is not None and price.unknown_because is None:
                priced.append(target)
        if not priced:
            raise Fault(
                Kind.PRICE_UNKNOWN,
                f"no price is known for {model!r}, and the settings refuse such calls",
                hint="state one under `prices:`",
                param="model",
            )
        return replace(plan, targets=tuple(priced))

    async def _unknown(self, model: str) -> Fault:
        near = difflib.get_close_matches(model, await self.names(), n=3, cutoff=0.5)
        if not self._providers:
            hint = "no provider is configured: set OPENAI_API_KEY, or `providers:` in tollkeeper.yaml"
        elif near:
            hint = f"did you mean {', '.join(near)}?"
        else:
            hint = f"ask for PROVIDER/MODEL with one of the providers {', '.join(self._providers)}"
        return Fault(Kind.MODEL_UNKNOWN, f"the model {model!r} is not known here", hint=hint, param="model")

    async def names(self) -> Sequence[str]:
        """Every name that a client may ask for, aliases first."""
        names = list(self._aliases)
        names += await self._directory.names()
        for provider in self._providers.values():
            if provider.at_home:
                names += self._prices.models(provider.kind)
        return list(dict.fromkeys(names))
