"""How mistakes read."""

from pathlib import Path

import pytest

from gateway.settings.problems import Origin, Problem, Report, SettingsError, Wrong, did_you_mean, nearest


@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        (Problem(3, "a.b", "is wrong", "do this", "f.yaml"), "f.yaml:3: a.b: is wrong; do this"),
        (Problem(None, "a.b", "is wrong", None, "TOLLKEEPER_A_B"), "TOLLKEEPER_A_B: a.b: is wrong"),
        (Problem(None, "", "cannot be read", None, "f.yaml"), "f.yaml: cannot be read"),
        (Problem(None, "a", "is wrong"), "a: is wrong"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(problem: Problem, sentence: str) -> None:
    assert str(problem) == sentence


def test_all_mistakes_are_raised_at_once_in_the_order_of_the_file() -> None:
    report = Report()
    report.add((), Origin("TOLLKEEPER_X", None, Path()), "third")
    report.add(("b",), Origin("f", 9, Path()), "second")
    report.add(("a",), Origin("f", 2, Path()), "first")
    with pytest.raises(SettingsError) as caught:
        report.raise_if_any()
    assert str(caught.value) == "f:2: a: first\nf:9: b: second\nTOLLKEEPER_X: third"


def test_without_a_mistake_nothing_is_raised() -> None:
    Report().raise_if_any()


def test_the_nearest_known_name_is_named_else_all_of_them() -> None:
    assert nearest("prot", ["host", "port"]) == "port"
    assert nearest("zzz", ["host", "port"]) is None
    assert did_you_mean("prot", ["host", "port"]) == "did you mean `port`?"
    assert did_you_mean("zzz", ["host", "port"]) == "known here: host, port"


def test_a_path_is_relative_to_where_it_was_written() -> None:
    origin = Origin("f", 1, Path("/etc/tollkeeper"))
    assert origin.absolute("data") == Path("/etc/tollkeeper/data")
    assert origin.absolute("/var/data") == Path("/var/data")
    assert origin.absolute("~/data") == Path.home() / "data"


@pytest.mark.parametrize("text", ["", "  ", "a\0b", "~nobody-of-this-name/x"])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(Wrong):
        Origin("f", 1, Path("/")).absolute(text)
