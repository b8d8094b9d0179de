"""Counts: what is added from elsewhere is as if it had been counted here. The rest is in `test_metrics`."""

from gateway.core.calls import End
from gateway.telemetry.counts import Counts
from tests.fakes.records import ATTEMPT


def counted(calls: int) -> Counts:
    counts = Counts()
    one = counts.calls_of("/v1/chat/completions", "search", "openai/gpt-4o-mini", "openai", End.COMPLETED)
    one.ended, one.estimated = calls, calls
    for _ in range(calls):
        one.histograms[0].observe([300])
        counts.spend_of("openai/gpt-4o-mini", "openai", "search").add([ATTEMPT])
    counts.rejected["missing"] = calls
    return counts


def test_what_two_told_adds_up_to_what_one_would_have_counted() -> None:
    total = Counts()
    for told in (counted(2).told(), counted(3).told()):
        total.add(told)
    assert total.told() == counted(5).told()


def test_what_was_told_is_a_copy() -> None:
    counts = counted(1)
    told = counts.told()
    counts.spend_of("openai/gpt-4o-mini", "openai", "search").add([ATTEMPT])
    counts.histograms_of("openai/gpt-4o-mini", "openai")[0].observe([1000])
    assert told == counted(1).told()


def test_series_go_on_where_a_predecessor_left_them() -> None:
    """The labels come back as plain text: they are the same series all the same."""
    counts = Counts()
    counts.add(counted(1).told())
    key = ("/v1/chat/completions", "search", "openai/gpt-4o-mini", "openai", End.COMPLETED)
    counts.calls_of(*key).ended += 1
    assert (len(counts.calls), counts.calls[key].ended) == (1, 2)
    assert counts.calls[key].histograms is counts.histograms_of("openai/gpt-4o-mini", "openai")
