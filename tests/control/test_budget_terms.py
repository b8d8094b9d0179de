"""The terms of a budget: what is refused says which field, and what to do."""

from typing import Any

import pytest

from gateway.control.budget_terms import (
    MOST,
    Models,
    changes_to,
    coming_raise,
    limit_of,
    new_budget,
    percentages_of,
    scope_from,
    zone_of,
)
from gateway.core.budgets import Budget, Exhausted, Mode, Raise
from gateway.core.errors import Fault, Kind
from gateway.core.scopes import Scope
from gateway.core.windows import Window

MODELS = Models(("fast",), ("openai",))
BUDGET = Budget("b", 1, Window.DAY, exhausted=Exhausted.DOWNGRADE, downgrade_to="gone", since_us=7)


@pytest.mark.parametrize(
    ("text", "nano"), [("500", 500_000_000_000), ("0.000000001", 1), ("1e3", 10**12), ("1000000000", MOST)]
)
def test_limits_are_exact(text: str, nano: int) -> None:
    assert limit_of(text) == nano


@pytest.mark.parametrize("text", ["", "0", "-0", "-1", "1,5", "$5", "1000000000.000000001", "1e-10", "inf", "NaN", 0.5])
def test_what_is_no_limit_names_the_field(text: object) -> None:
    with pytest.raises(Fault) as raised:
        limit_of(text, "--limit")
    assert (raised.value.kind, raised.value.param) == (Kind.INVALID, "--limit")


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"])
def test_a_zone_is_known_by_its_name(zone: str) -> None:
    assert zone_of(zone) == zone


@pytest.mark.parametrize(
    ("zone", "meant"), [("kolkata", "Asia/Kolkata"), ("Europe/Pariss", "Europe/Paris"), ("", "UTC"), ("\0", "UTC")]
)
def test_a_zone_that_there_is_not_says_which_was_meant(zone: str, meant: str) -> None:
    with pytest.raises(Fault, match="is no time zone") as raised:
        zone_of(zone)
    assert raised.value.hint is not None
    assert meant in raised.value.hint


def test_percentages_go_up() -> None:
    assert percentages_of([]) == ()
    assert percentages_of([1, 1000]) == (1, 1000)
    for wrong in ([0], [1001], [2, 1], [5, 5], [-1]):
        with pytest.raises(Fault):
            percentages_of(wrong)


def test_a_scope_is_read_as_it_is_written() -> None:
    said: dict[str, str | list[str]] = {"key": "*", "tag": ["b=2", "a=*"]}
    scope = scope_from(said)
    assert scope == Scope((("key", "*"), ("tag:a", "*"), ("tag:b", "2")))
    assert scope_from(scope.as_dict()) == scope
    assert scope_from({}) == Scope()
    with pytest.raises(Fault, match="is one text"):
        scope_from({"key": ["a", "b"]})


def test_a_new_budget_has_a_name_and_a_limit() -> None:
    assert new_budget("b", {"limit_nano": 5}, MODELS, 7) == Budget("b", 5, Window.MONTH, since_us=7)
    for name, terms, param in (("b", {}, "limit_usd"), ("a b", {"limit_nano": 1}, "name"), ("b\n", {}, "name")):
        with pytest.raises(Fault) as raised:
            new_budget(name, terms, MODELS, 7)
        assert raised.value.param == param


def test_only_what_is_another_value_changes() -> None:
    assert changes_to(BUDGET, {"limit_nano": 1, "window": Window.DAY, "scope": Scope(), "zone": "UTC"}, MODELS) == {}
    assert changes_to(BUDGET, {"limit_nano": 2}, MODELS) == {"limit_nano": 2}
    refuses: dict[str, Any] = {"exhausted": Exhausted.REFUSE}
    assert changes_to(BUDGET, refuses, MODELS) == {**refuses, "downgrade_to": None}
    soft = {**refuses, "mode": Mode.SOFT}
    assert changes_to(BUDGET, soft, MODELS) == {**soft, "downgrade_to": None}


@pytest.mark.parametrize(
    ("terms", "param"),
    [
        ({"window": Window.WEEK}, "window"),
        ({"zone": "Europe/Berlin"}, "timezone"),
        ({"scope": Scope((("key", "*"),))}, "scope"),
        ({"mode": Mode.SOFT}, "on_exhausted"),
        ({"downgrade_to": None}, "downgrade_to"),
        ({"downgrade_to": "nobody"}, "downgrade_to"),
        ({"downgrade_to": "opnai/x"}, "downgrade_to"),
        ({"downgrade_to": "openai/"}, "downgrade_to"),
        ({"exhausted": Exhausted.REFUSE, "downgrade_to": "fast"}, "downgrade_to"),
    ],
)
def test_what_cannot_change_says_so(terms: dict[str, Any], param: str) -> None:
    with pytest.raises(Fault) as raised:
        changes_to(BUDGET, terms, MODELS)
    assert (raised.value.kind, raised.value.param) == (Kind.INVALID, param)


@pytest.mark.parametrize("model", ["fast", "openai/gpt-4o", "openai/a/b"])
def test_a_model_is_an_alias_or_a_target(model: str) -> None:
    assert changes_to(BUDGET, {"downgrade_to": model}, MODELS) == {"downgrade_to": model}


def test_a_raise_ends_in_the_future() -> None:
    assert coming_raise(5, 8, 7) == Raise(5, 8)
    with pytest.raises(Fault):
        coming_raise(5, 7, 7)
