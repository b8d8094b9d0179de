"""Call and target → the most that an attempt can cost, before anybody is asked (promises §2).

Whoever sets money aside, or caps a call, asks here. What cannot be bounded says why, and is never guessed.
"""

from gateway.core.holds import input_bound, output_bound
from gateway.core.models import ModelFacts
from gateway.core.money import Nano
from gateway.core.pricing import Bound, Conditions, Most, PriceBook
from gateway.core.routing import Target
from gateway.core.value import value
from gateway.wire.openai_reach import Reach

_MANY = 1_000_000
"""Tokens; more would cost more, if they cost anything."""
_KNOWN = 10_000
"""Targets whose prices are kept as bounds: model names come from clients."""


@value(frozen=True)
class Quote:
    """What an attempt at one target can cost."""

    nano: Nano
    """At most, with the limit that the request has."""
    input: int
    """Tokens of its prompt, at most; of no meaning where nothing costs anything."""
    output: int | None
    """Tokens of all its answers together, at most; null: nobody can tell, and they cost nothing."""
    each: int | None
    """… of one answer; null as well."""
    bound: Bound
    most: Most
    choices: int
    predicted: int

    def lowered(self, limit: int) -> Nano:
        """The most that it costs with another limit for each answer."""
        most = self.most
        output = limit * self.choices + self.predicted
        cost = self.bound.of(Most(most.input, output, most.audio, most.searches, most.tier))
        assert isinstance(cost, int), "what has a price has one with a lower limit"
        return cost


class Quotes:
    """Quotes from the price book in force."""

    def __init__(self, prices: PriceBook) -> None:
        self._prices = prices
        self._bounds: dict[str, tuple[Bound | None, ModelFacts]] = {}
        prices.watch(self._bounds.clear)

    def of(self, reach: Reach, target: Target, limit: int | None = None) -> Quote | str:
        """The most that a request costs at a target; or why nobody can tell. `limit`: of each answer, if another than
        the request's own."""
        bound, facts = self._known(target)
        if bound is None:
            return f"no price is known for {target.name}"
        asked = reach.limit if limit is None else limit
        each_picture = target.provider.picture_tokens
        pictures = reach.images * (each_picture or 0)
        open_because = _open_because(reach, pictures_known=each_picture is not None)
        tokens_in = input_bound(reach.body_bytes, reach.messages, open_because, facts, pictures)
        tokens_out = output_bound(asked, reach.choices, reach.predicted_bytes, facts)
        read = tokens_in if isinstance(tokens_in, int) else 0
        made = tokens_out if isinstance(tokens_out, int) else 0
        most = Most(read, made, reach.audio, None if reach.searches else 0, _tier(reach))
        cost = bound.of(most)
        if isinstance(cost, str):
            return cost
        if isinstance(tokens_in, str) and bound.of(_with(most, input=_MANY)) != cost:
            return tokens_in
        if isinstance(tokens_out, str) and bound.of(_with(most, output=_MANY)) != cost:
            return tokens_out
        each = asked if asked is not None else facts.output
        output = tokens_out if isinstance(tokens_out, int) else None
        return Quote(cost, read, output, each, bound, most, reach.choices, reach.predicted_bytes)

    def _known(self, target: Target) -> tuple[Bound | None, ModelFacts]:
        """Its price as a bound, null if it has none, and how much it takes and makes."""
        name = target.name
        known = self._bounds.get(name)
        if known is None:
            if len(self._bounds) >= _KNOWN:
                self._bounds.clear()
            price = self._prices.find(target)
            known = self._bounds[name] = (None if price is None else Bound(price), self._prices.facts(target))
        return known


def _with(most: Most, *, input: int | None = None, output: int | None = None) -> Most:
    return Most(
        most.input if input is None else input,
        most.output if output is None else output,
        most.audio,
        most.searches,
        most.tier,
    )


def _tier(reach: Reach) -> str | None:
    return None if reach.tier is None else Conditions(service_tier=reach.tier).tier


def _open_because(reach: Reach, *, pictures_known: bool) -> str | None:
    """Why the bytes of the body do not bound the prompt; null if they do. `pictures_known`: what one is billed as."""
    if reach.images and not pictures_known:
        return "it carries a picture"
    if reach.sounds:
        return "it carries sound"
    if reach.files:
        return "it carries a file"
    return reach.open_because
