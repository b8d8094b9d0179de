"""What besides the counts decides about a price: as the answer said it was served, and when.

Whoever does not know something leaves it out: unknown is the default everywhere, and costs no more than it must.
"""

import json

from gateway.core.value import value

PLAIN_TIERS = frozenset({None, "default", "standard", "auto", "on_demand"})
"""Served tiers that cost the plain price; `on_demand` is Groq's word for the default."""

_LONGEST = 64
_TIERS = {
    "fast": "priority",  # asked for under this name, and billed as the other
    "batches": "batch",
    "on_demand_priority": "priority",
    "on_demand_flex": "flex",
}


@value(frozen=True)
class Conditions:
    """What besides the counts decides about a price."""

    service_tier: str | None = None
    """As served, from the answer; null if the answer does not say."""
    web_search: bool = False
    """The request allowed a search of the web."""
    at_us: int | None = None
    """When the attempt ended, microseconds since 1970 UTC: prices that depend on the hour go by it."""
    asked_tier: str | None = None
    """As asked for. What was served decides; but silence about it is no answer where another was asked for."""
    search_context: str | None = None
    """How much of the web the answer says was read: `low`, `medium`, `high`."""
    metered: tuple[tuple[str, int | None], ...] = ()
    """What the answer says was used beside the buckets (`audio_seconds`, `citation_tokens`); null: no whole number."""
    multipliers: tuple[str, ...] = ()
    """Words of the answer that multiply the rates: the region it was served from (`us`), a speed (`fast`)."""

    @property
    def tier(self) -> str | None:
        """The tier as prices name it; null for the plain one."""
        if self.service_tier in PLAIN_TIERS:
            return None
        word = str(self.service_tier).lower()
        return None if word in PLAIN_TIERS else _TIERS.get(word, word)

    def as_text(self) -> str | None:
        """Everything but the time as JSON, for the row of the attempt; null if there is nothing to say."""
        facts = {
            "service_tier": self.tier,
            "web_search": self.web_search or None,
            "asked_tier": None if self.asked_tier in PLAIN_TIERS else self.asked_tier,
            "search_context": self.search_context,
            "metered": dict(self.metered) or None,
            "multipliers": list(self.multipliers) or None,
        }
        # Words come from outside, and a row has bounds.
        said = {
            name: fact[:_LONGEST] if isinstance(fact, str) else fact for name, fact in facts.items() if fact is not None
        }
        return json.dumps(said, separators=(",", ":")) if said else None

    @classmethod
    def from_text(cls, text: str | None, at_us: int | None) -> "Conditions":
        """What `as_text` wrote, at that time. Raises `ValueError` on any other text."""
        said = json.loads(text) if text else {}
        return cls(
            service_tier=said.get("service_tier"),
            web_search=said.get("web_search", False),
            at_us=at_us,
            asked_tier=said.get("asked_tier"),
            search_context=said.get("search_context"),
            metered=tuple(said.get("metered", {}).items()),
            multipliers=tuple(said.get("multipliers", ())),
        )


def _short(fact: object) -> object:
    """Words come from outside, and a row has bounds."""
    return fact[:_LONGEST] if isinstance(fact, str) else fact


PLAIN = Conditions()
"""Served as usual, without a search, at a time that does not matter."""
