"""Interrupted calls: the record says what is known, estimates the prompt, and leaves the rest unknown."""

from dataclasses import replace

from gateway.core.calls import AttemptOpened, End
from gateway.core.usage import Basis, Usage
from gateway.jobs.interrupted import interrupted_call
from tests.storage.calls import BOOK, START_US, a_call

OPENED = AttemptOpened(
    call=a_call(1).facts,
    index=0,
    target="openai/gpt-4o-mini",
    provider="openai",
    started_us=START_US + 200,
    price_book=BOOK,
    estimated_input=1000,
    input_usd_per_million="2.5",
)


def test_the_prompt_is_estimated_and_priced() -> None:
    record = interrupted_call([OPENED])
    assert (record.facts, record.end, record.status) == (OPENED.call, End.INTERRUPTED, None)
    assert (record.usage, record.usage_basis) == (Usage(input=1000), Basis.ESTIMATED)
    assert (record.cost_nano, record.price_book) == (2_500_000, BOOK)
    (attempt,) = record.attempts
    assert (attempt.end, attempt.tokenizer, attempt.started_us) == (End.INTERRUPTED, "bytes/4", START_US + 200)
    assert [(charge.bucket, charge.quantity, charge.usd_per_million) for charge in attempt.charges] == [
        ("input", 1000, "2.5")
    ]


def test_without_a_price_the_cost_is_unknown() -> None:
    """Known fault 23: unknown is not free."""
    record = interrupted_call([replace(OPENED, price_book=None, input_usd_per_million=None)])
    assert record.cost_nano is None
    assert record.attempts[0].unpriced_because is not None


def test_what_is_free_costs_nothing() -> None:
    assert interrupted_call([replace(OPENED, input_usd_per_million="0")]).cost_nano == 0


def test_every_attempt_counts_in_its_order() -> None:
    """Known fault 40: both attempts stay billed."""
    record = interrupted_call([replace(OPENED, index=1, target="gpu/llama"), OPENED])
    assert [attempt.target for attempt in record.attempts] == ["openai/gpt-4o-mini", "gpu/llama"]
    assert record.cost_nano == 5_000_000
