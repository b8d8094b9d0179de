"""What a rule sees of calls."""

from dataclasses import replace

from gateway.core.alerts.facts import Minute, call_seen, costs_of, sums_of
from gateway.core.calls import End
from gateway.core.scopes import Scope
from gateway.core.usage import Basis
from tests.core.alerts.traffic import START_US, USD, call
from tests.fakes.records import ATTEMPT, COMPLETED, REFUSED

BY_KEY = Scope((("key", "*"),))


def test_a_record_is_seen_with_what_it_is_counted_by() -> None:
    seen = call_seen(COMPLETED)

    assert seen.at_us == COMPLETED.ended_us
    assert (seen.seen["key"], seen.seen["target"]) == ("ci", "openai/gpt-4o-mini")
    assert (seen.cost_nano, seen.input_tokens, seen.generated_tokens) == (1_600_000, 1000, 100)
    assert seen.answered
    assert not seen.failed


def test_an_unknown_cost_stays_unknown() -> None:
    unknown = replace(COMPLETED, attempts=(replace(ATTEMPT, cost_nano=None),))
    assert call_seen(unknown).cost_nano is None
    assert sums_of([call_seen(unknown)], BY_KEY)["key=ci"].unpriced_calls == 1


def test_a_refusal_is_no_answer_and_no_error() -> None:
    seen = call_seen(REFUSED)
    assert not seen.answered
    assert not seen.failed
    assert sums_of([seen], BY_KEY)["key=ci"].unmetered_calls == 0


def test_sums_are_by_the_subjects_of_a_scope() -> None:
    calls = [
        call(usd=1, input_tokens=10, generated_tokens=5, ttft_ms=100.0),
        call(usd=2, end=End.FAILED, basis=Basis.NONE),
        call(usd=4, key="web", basis=Basis.ESTIMATED),
        call(usd=8, key=None),
    ]
    sums = sums_of(calls, BY_KEY)

    assert set(sums) == {"key=ci", "key=web"}
    assert (sums["key=ci"].calls, sums["key=ci"].errors, sums["key=ci"].cost_nano) == (2, 1, 3 * USD)
    assert (sums["key=ci"].input_tokens, sums["key=ci"].ttft_ms.count) == (10, 1)
    assert (sums["key=ci"].unmetered_calls, sums["key=web"].estimated_calls) == (0, 1)
    assert costs_of(calls, BY_KEY) == {"key=ci": 3 * USD, "key=web": 4 * USD}
    assert costs_of(calls, Scope()) == {"everything": 15 * USD}


def test_a_minute_ends_where_the_next_begins() -> None:
    assert Minute(START_US).end_us == START_US + 60_000_000
