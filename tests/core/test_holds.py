"""How many tokens a request can take and make at most."""

import pytest

from gateway.core.holds import input_bound, output_bound
from gateway.core.models import NO_FACTS, ModelFacts

SMALL = ModelFacts(context=1000, output=100)


@pytest.mark.parametrize(
    ("body_bytes", "messages", "open_because", "model", "bound"),
    [
        (100, 0, None, NO_FACTS, 164),
        (100, 2, None, NO_FACTS, 196),
        (100, 2, None, SMALL, 196),
        (5000, 2, None, SMALL, 1000),
        (100, 2, "it names an image", SMALL, 1000),
        (100, 2, "it names an image", NO_FACTS, "it names an image, and how much the model reads is not known"),
    ],
)
def test_a_prompt_is_bounded_by_its_bytes_or_by_what_the_model_reads(
    body_bytes: int, messages: int, open_because: str | None, model: ModelFacts, bound: int | str
) -> None:
    assert input_bound(body_bytes, messages, open_because, model) == bound


@pytest.mark.parametrize(
    ("limit", "choices", "predicted", "model", "bound"),
    [
        (7, 1, 0, SMALL, 7),
        (0, 3, 0, SMALL, 0),
        (7, 3, 0, NO_FACTS, 21),
        (None, 2, 0, SMALL, 200),
        (None, 2, 9, SMALL, 209),
    ],
)
def test_an_answer_is_bounded_by_the_first_who_says_so(
    limit: int | None, choices: int, predicted: int, model: ModelFacts, bound: int
) -> None:
    """The request, or the operator for it, then the model; for each answer that is asked for."""
    assert output_bound(limit, choices, predicted, model) == bound


def test_an_answer_that_nothing_limits_has_no_bound() -> None:
    found = output_bound(None, 1, 0, ModelFacts(context=1000))
    assert found == "nothing limits its answer: neither the request nor what is known of the model"
