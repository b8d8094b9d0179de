"""How much a model takes and makes, and what, as far as it is known: what bounds a request that says nothing of it."""

from gateway.core.value import value


@value(frozen=True)
class ModelFacts:
    """Tokens; null where nobody says."""

    context: int | None = None
    """The longest prompt."""
    output: int | None = None
    """The longest answer."""
    embeds: bool | None = None
    """Whether it makes embeddings, and no text; null where nobody says."""


NO_FACTS = ModelFacts()
