"""How many tokens a request can take and make at most: what is set aside for it before anybody is asked (promises §2).

The bytes of a body bound its text, for no token is shorter than a byte; what a body only names is bounded by the
model's context window. What no figure bounds says so, and is never guessed.
"""

from gateway.core.models import ModelFacts
from gateway.core.money import Nano

PER_REQUEST = 64
PER_MESSAGE = 16
"""Tokens that a chat format adds, at most."""


def input_bound(
    body_bytes: int, messages: int, open_because: str | None, model: ModelFacts, pictures: int = 0
) -> int | str:
    """The most tokens of a prompt; or why nobody can tell. `open_because`: why its body does not bound it; `pictures`:
    tokens that those in it are billed as, which may be more than the model's context holds."""
    if open_because is None:
        bound = body_bytes + PER_REQUEST + PER_MESSAGE * messages
        return pictures + (bound if model.context is None else min(bound, model.context))
    if model.context is None:
        return f"{open_because}, and how much the model reads is not known"
    return model.context + pictures


def output_bound(limit: int | None, choices: int, predicted: int, model: ModelFacts) -> int | str:
    """The most tokens of all answers together; or why nobody can tell.

    `limit` of each of the answers, as the request says, or the operator for requests that say none; `predicted`: of an
    output given in advance, whose rejected part is billed beside the answer.
    """
    each = limit if limit is not None else model.output
    if each is None:
        return "nothing limits its answer: neither the request nor what is known of the model"
    return each * choices + predicted


def reserve_of(hold: Nano, cost: Nano | None, at_least: Nano | None) -> Nano:
    """What stays charged beyond a cost that nobody is sure of: the rest of what was held."""
    known = cost if cost is not None else at_least or 0
    return max(0, hold - known)
