"""Faults say what happened and what to do."""

from gateway.core.errors import Fault, Kind, UpstreamFault, not_in_this_version


def test_a_fault_reads_as_a_sentence() -> None:
    assert Fault(Kind.INVALID, "it is wrong").sentence == "it is wrong"
    assert Fault(Kind.INVALID, "it is wrong", hint="mend it").sentence == "it is wrong; mend it"
    assert str(Fault(Kind.INVALID, "it is wrong")) == "it is wrong"


def test_what_comes_later_is_refused_in_the_words_of_the_contract() -> None:
    fault = not_in_this_version("budgets")
    assert (fault.kind, fault.message) == (Kind.UNSUPPORTED, "budgets are not in this version")


def test_the_kind_of_an_upstream_fault_says_whether_to_repeat_it() -> None:
    assert UpstreamFault("x", uncertain=False).kind is Kind.UPSTREAM
    assert UpstreamFault("x", uncertain=True).kind is Kind.UPSTREAM_UNCERTAIN
    assert UpstreamFault("x", uncertain=True, timeout=True).kind is Kind.TIMEOUT
