"""Whose calls a scope counts, and under which subject."""

import pytest

from gateway.core.calls import CallFacts
from gateway.core.errors import Fault
from gateway.core.scopes import EVERYTHING, Scope, read, scope_of, seen_of, subject_of, written

CALL = CallFacts(
    "id", 0, "/v1/chat/completions", "k1", "ci", "search", {"env": "prod", "job": "a,b"}, "s1", "anna", "fast"
)


def subject(*parts: tuple[str, str], call: CallFacts = CALL) -> str | None:
    return subject_of(scope_of(parts), seen_of(call, "openai/gpt-4o", "openai"))


def test_a_scope_without_parts_counts_every_call() -> None:
    assert subject() == EVERYTHING
    assert subject(call=CallFacts("id", 0, "/v1/chat/completions")) == EVERYTHING


@pytest.mark.parametrize(
    ("part", "other"),
    [
        (("key", "ci"), ("key", "cd")),
        (("team", "search"), ("team", "ads")),
        (("model", "fast"), ("model", "slow")),
        (("target", "openai/gpt-4o"), ("target", "openai/gpt-4o-mini")),
        (("provider", "openai"), ("provider", "azure")),
        (("session", "s1"), ("session", "s2")),
        (("end_user", "anna"), ("end_user", "bert")),
        (("tag", "env=prod"), ("tag", "env=test")),
    ],
)
def test_every_dimension_can_be_fixed(part: tuple[str, str], other: tuple[str, str]) -> None:
    assert subject(part) == EVERYTHING
    assert subject(other) is None
    assert subject(part, ("team", "search") if part[0] != "team" else ("key", "ci")) == EVERYTHING
    assert subject(part, ("tag", "none=x")) is None


def test_each_value_can_be_counted_apart() -> None:
    assert subject(("key", "*")) == "key=ci"
    assert subject(("tag", "env=*"), ("key", "*"), ("team", "search")) == "key=ci,tag:env=prod"


def test_two_values_never_read_as_one() -> None:
    assert subject(("tag", "job=*"), ("key", "*")) == "key=ci,tag:job=a%2Cb"


def test_what_was_written_is_read() -> None:
    parts = {"key": "ci", "tag:job": "a,b=%2C%25"}
    assert written(parts) == "key=ci,tag:job=a%2Cb=%252C%2525"
    assert read(written(parts)) == parts
    assert read(EVERYTHING) == {}


@pytest.mark.parametrize("part", [("key", "*"), ("session", "*"), ("end_user", "anna"), ("tag", "env=*")])
def test_a_label_binds_only_calls_that_carry_it(part: tuple[str, str]) -> None:
    assert subject(part, call=CallFacts("id", 0, "/v1/chat/completions")) is None


def test_a_scope_is_shown_as_it_is_written() -> None:
    scope = scope_of([("team", " search "), ("tag", "env = prod"), ("key", "*")])
    assert scope == Scope((("key", "*"), ("tag:env", "prod"), ("team", "search")))
    assert scope.as_text() == "key=*,tag:env=prod,team=search"
    assert scope.as_dict() == {"key": "*", "team": "search", "tag": ["env=prod"]}
    assert scope.counted == ("key",)
    assert not scope.by_target
    assert scope_of([("provider", "openai")]).by_target
    assert Scope().as_dict() == {}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([("kee", "ci")], "'kee' is nothing that calls can be told apart by"),
        ([("key", "")], "must have from 1 to 256 characters"),
        ([("key", "x" * 257)], "must have from 1 to 256 characters"),
        ([("tag", "env")], "'env' is no tag"),
        ([("tag", "=x")], "'=x' is no tag"),
        ([("tag", "env=")], "must have from 1 to 256 characters"),
        ([("key", "a"), ("key", "b")], "names key twice"),
        ([("tag", "a=1"), ("tag", "a=2")], "names tag:a twice"),
    ],
)
def test_a_scope_that_means_nothing_is_refused(parts: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(Fault, match=message) as raised:
        scope_of(parts)
    assert raised.value.param == "scope"
    assert raised.value.hint
