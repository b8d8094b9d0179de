"""What a newer price map changes, and what makes it hard to believe."""

from decimal import Decimal
from typing import Any

from gateway.core.pricing import OffPeak, Price, Step, Tariff, Window
from gateway.core.pricing.maps import Change, compare

D = Decimal


def price(rate: str, book: str = "old", **more: object) -> Price:
    return Price(book, {"input": D(rate)}, **more)  # type: ignore[arg-type]  # fields by name


def many(count: int, book: str = "old") -> dict[str, Price]:
    return {f"m{number}": price("1e-6", book) for number in range(count)}


def test_the_same_prices_of_another_book_are_no_change() -> None:
    changes = compare({"openai": many(3)}, {"openai": many(3, "new")}, {})
    assert (changes.added, changes.removed, changes.changed, changes.doubts) == ((), (), (), ())


def test_what_came_went_and_changed() -> None:
    old = {"openai": {**many(20), "gone": price("1e-6"), "dear": price("1e-6"), "odd": price("1e-6")}}
    new = {
        "openai": {
            **many(20, "new"),
            "dear": Price("new", {"input": D("2e-6"), "output": D("3e-6")}),
            "odd": price("1e-6", unknown_because="it is billed by the moon"),
        },
        "groq": {"fresh": price("1e-6")},
    }
    changes = compare(old, new, {})
    assert (changes.added, changes.removed) == (("groq/fresh",), ("openai/gone",))
    assert changes.changed == (
        Change("openai/dear", "input $1 → $2, output – → $3"),
        Change("openai/odd", "known → it is billed by the moon"),
    )
    assert changes.doubts == ()


def test_what_is_no_rate_is_told_in_a_word() -> None:
    (change,) = compare({"a": {"m": price("1e-6")}}, {"a": {"m": price("1e-6", steps=(Step(5, {}),))}}, {}).changed
    assert change.what == "its steps, tiers, hours or fees"


def test_a_lost_half_is_not_believed() -> None:
    """Known fault 22."""
    assert compare({"a": many(20)}, {"a": many(18)}, {}).doubts == ()
    assert compare({"a": many(20)}, {"a": many(17)}, {}).doubts == ("3 of 20 known models are missing in it",)
    assert compare({"a": many(20)}, {}, {}).doubts == ("it has no price of any known provider",)


def test_a_map_that_prices_nothing_any_more_is_not_believed() -> None:
    """Known fault 22: every field of a cost zero, or of another name."""

    def without(count: int) -> dict[str, Price]:
        nothing = {f"m{number}": price("1e-6", unknown_because="it has no price") for number in range(count)}
        return {**many(20), **nothing}

    assert compare({"a": many(20)}, {"a": without(2)}, {}).doubts == ()
    (doubt,) = compare({"a": many(20)}, {"a": without(3)}, {}).doubts
    assert doubt == "3 of 20 models have no price in it any more: a/m0; a/m1; a/m2"
    assert compare({"a": without(20)}, {"a": without(20)}, {}).doubts == ()


def test_a_leap_is_seen_wherever_a_rate_holds() -> None:
    """Known fault 21."""
    rates, dear = {"input": D("1e-6")}, {"input": D("1e-3")}
    window = (Window(0, 60),)
    cases: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        ({"steps": (Step(5, rates),)}, {"steps": (Step(5, dear),)}, " above 5 tokens"),
        ({"tiers": {"flex": Tariff(rates)}}, {"tiers": {"flex": Tariff(dear)}}, " in the tier flex"),
        (
            {"tiers": {"flex": Tariff({}, (Step(5, rates),))}},
            {"tiers": {"flex": Tariff({}, (Step(5, dear),))}},
            " in the tier flex above 5 tokens",
        ),
        ({"off_peak": OffPeak(window, rates)}, {"off_peak": OffPeak(window, dear)}, " off-peak"),
    ]
    for before, after, where in cases:
        (doubt,) = compare({"a": {"m": price("1e-6", **before)}}, {"a": {"m": price("1e-6", **after)}}, {}).doubts
        assert doubt == f"1 rates differ by more than 100 times: a/m input{where} $1 → $1000"


def test_broken_entries_and_leaps_are_not_believed() -> None:
    """Known faults 21 and 22."""
    doubts = compare({"a": many(3)}, {"a": many(3)}, {"x": "is not an object"}).doubts
    assert doubts == ("1 of its entries cannot be read: x: is not an object",)
    for rate, believed in [("9.9e-5", True), ("1.01e-8", True), ("1e-4", False), ("1e-8", False)]:
        doubts = compare({"a": many(3)}, {"a": {**many(3), "m1": price(rate)}}, {}).doubts
        assert (doubts == ()) is believed
    many_leaps = {f"m{number}": price("1e-3") for number in range(9)}
    (doubt,) = compare({"a": many(9)}, {"a": many_leaps}, {}).doubts
    assert doubt.startswith("9 rates differ by more than 100 times: a/m0 input $1 → $1000; ")
    assert doubt.endswith(" and 4 more")
