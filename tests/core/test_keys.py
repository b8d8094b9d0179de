"""Virtual keys: secrets that do not leak, and who may do what until when."""

import copy
import pickle
from dataclasses import replace

import pytest

from gateway.core.errors import Fault, Kind
from gateway.core.keys import KEYLESS, Caller, Key, Secret, caller_of, digest, in_force

NOW = 1_000_000
KEY = Key(
    id="k1", name="ci", prefix="tk-abc", digest=digest("tk-secret"), created_us=0, team="platform", labels={"a": "b"}
)


def test_a_secret_shows_itself_to_nobody_who_does_not_ask() -> None:
    """Known fault 79: secrets are a type that cannot be serialised."""
    secret = Secret("sk-hush")
    assert "hush" not in f"{secret} {secret!r} {[secret]} {Fault(Kind.INTERNAL, str(secret))!r}"
    assert secret.reveal() == "sk-hush"
    for serialise in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            serialise(secret)


def test_secrets_compare_by_text() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1


def test_the_whole_digest_tells_keys_apart() -> None:
    """Known fault 77: keys that share their first 20 characters are different keys."""
    assert digest("tk-" + "x" * 40 + "1") != digest("tk-" + "x" * 40 + "2")
    assert len(digest("tk-a")) == 64


def test_a_valid_key_makes_its_caller() -> None:
    assert caller_of(KEY) == Caller("k1", "ci", "platform", None, {"a": "b"})


@pytest.mark.parametrize(
    ("key", "valid"),
    [
        (replace(KEY, expires_us=NOW + 1), True),
        (replace(KEY, expires_us=NOW), False),
        (replace(KEY, revoked_us=NOW), False),
        (replace(KEY, revoked_us=NOW - 1), False),
        (replace(KEY, revoked_us=NOW + 1), False),  # revoked, and then the clock was set back
    ],
)
def test_a_key_ends_at_its_moment(key: Key, valid: bool) -> None:
    assert in_force(key, key.digest, NOW) is valid


def test_a_rotated_key_has_grace_and_no_more() -> None:
    key = Key("k1", "ci", "tk-new", digest("new"), 0, old_digest=digest("old"), old_digest_until_us=NOW + 1)
    assert in_force(key, digest("new"), NOW)
    assert in_force(key, digest("old"), NOW)
    assert not in_force(key, digest("old"), NOW + 1)
    assert not in_force(key, digest("other"), NOW)


def test_the_model_list_allows_names_and_prefixes() -> None:
    caller = Caller("k", "k", None, ("gpt-4o", "openai/*"))
    assert caller.may_use("gpt-4o")
    assert caller.may_use("openai/anything")
    assert not caller.may_use("gpt-4o-mini")
    assert not Caller("k", "k", None, ()).may_use("gpt-4o")
    assert KEYLESS.may_use("gpt-4o")
