"""How a tree becomes sections: on a model of its own, so that no setting stands in the way."""

from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from gateway.settings import rules
from gateway.settings.problems import Report, Wrong
from gateway.settings.schema import (
    Default,
    Section,
    listing,
    mapping,
    named,
    read_section,
    section,
    setting,
    settings_of,
)
from gateway.settings.source import parse


def short(text: str) -> None:
    if len(text) > 4:
        raise Wrong(f"{text} is too long")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner(Section):
    size: int = setting(rules.integer(1, 9), "A size.", "3")
    name: str = setting(rules.line_of_text, "A name.", Default.REQUIRED)
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer(Section):
    LATER: ClassVar[Mapping[str, str]] = {"moon": "moons are"}

    always: Inner | None = setting(section(Inner), "Absent unless it is written.")
    others: Mapping[str, Inner] = setting(named(Inner, "NAME", short), "By name.", "{}", takes_others=True)
    words: tuple[str, ...] = setting(listing(rules.choice("a", "b"), "list"), "Words.", "[]")
    sizes: Mapping[str, int] = setting(mapping(rules.integer(1, 9), "KEY", short), "Sizes.", "{}")
    depth: int | None = setting(rules.integer(1, 9), "A depth.")


def outer(text: str) -> tuple[Outer, list[str]]:
    report = Report()
    value = read_section(Outer, parse(text, "f", Path(), report), report)
    return value, [f"{problem.line} {problem.path}: {problem.message}" for problem in report.problems]


def test_defaults_are_read_by_the_same_rules() -> None:
    assert outer("") == (Outer(), [])
    assert Outer() == Outer(always=None, others={}, words=(), sizes={}, depth=None)
    assert Inner(name="x").size == 3


def test_sections_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Outer().depth = 3  # type: ignore[misc]


def test_values_sections_lists_and_mappings_are_read() -> None:
    value, problems = outer("always: {name: n}\nwords: [b, a]\nsizes: {x: 1}\nmine:\n  name: m\n  size: 9\n")
    assert problems == []
    assert value.always == Inner(name="n", line=1)
    assert value.words == ("b", "a")
    assert value.sizes == {"x": 1}
    assert value.others == {"mine": Inner(name="m", size=9, line=4)}


def test_all_mistakes_are_told_each_with_its_line() -> None:
    _, problems = outer(
        "always: {size: 0}\nmoon: 1\nwords: [a, c,\n  d]\nsizes: {toolong: 1, x: y}\ndepht: 3\ndepth:\n"
    )
    assert sorted(problems) == [
        "1 always.size: must be from 1 to 9, and 0 is not",
        "1 always: `name` is missing",
        "2 moon: moons are not in this version",
        "3 words.2: `c` is not one of `a` or `b`",
        "4 words.3: `d` is not one of `a` or `b`",
        "5 sizes.toolong: toolong is too long",
        "5 sizes.x: `y` is not a whole number",
        "6 depht: `depht` is not a setting",
        "7 depth: has no value",
    ]


def test_a_section_that_is_no_mapping_is_one_mistake() -> None:
    assert outer("always: 3\nmine: [x]\nwords: a\n")[1] == [
        "1 always: must be a mapping (`name: value` lines), not a text",
        "3 words: must be a list, not a text",
        "2 mine: must be a mapping (`name: value` lines), not a list",
    ]


def test_a_section_without_content_has_its_defaults() -> None:
    assert outer("always:\n")[1] == ["1 always: `name` is missing"]


def test_the_model_tells_what_it_knows() -> None:
    assert list(settings_of(Inner)) == ["size", "name"]
    assert settings_of(Inner)["size"].default == "3"
