"""Who may call: keys, and keyless calls that only this machine's user can send."""

import pytest

from gateway.core.actions import Action, InForce
from gateway.core.alerts.deed import Act, Deed
from gateway.core.errors import Fault, Kind
from gateway.core.keys import Key, digest
from gateway.proxy.authenticate import Authenticate, KeyPolicy, is_loopback
from tests.fakes.keyring import MemoryKeyRing

KEY = Key("k1", "ci", "tk-abc", digest("tk-abc"), 0, team="platform")
OPTIONAL = KeyPolicy(required=None, bound_to_loopback=True, allowed_origins=frozenset({"https://app.example"}))
LOCAL = {"host": "localhost:4000"}


def admit(headers: dict[str, str], *keys: Key, policy: KeyPolicy = OPTIONAL, peer: str | None = "127.0.0.1") -> str:
    """The key's name, `keyless`, or why not."""
    try:
        admitted = Authenticate(MemoryKeyRing(lambda: 0, keys), policy)({**LOCAL, **headers}, peer)
    except Fault as fault:
        return fault.message if fault.kind is Kind.BAD_KEY else fault.kind
    return admitted.caller.key or "keyless"


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer tk-abc"},
        {"authorization": "bearer  tk-abc"},
        {"api-key": "tk-abc"},
        {"x-api-key": "tk-abc"},
    ],
)
def test_a_key_is_found_wherever_clients_put_it(headers: dict[str, str]) -> None:
    assert admit(headers, KEY) == "ci"


def test_a_key_of_ours_is_always_checked() -> None:
    assert "unknown, expired or revoked" in admit({"authorization": "Bearer tk-other"})


def test_keys_are_needed_as_soon_as_one_exists() -> None:
    assert admit({}) == "keyless"
    assert "no API key" in admit({}, KEY)
    assert "not a key of this gateway" in admit({"authorization": "Bearer sk-openai"}, KEY)
    assert admit({}, KEY, policy=KeyPolicy(False, True)) == "keyless"


def test_keys_are_needed_off_loopback_and_where_required() -> None:
    assert "no API key" in admit({}, policy=KeyPolicy(None, bound_to_loopback=False))
    assert "no API key" in admit({}, policy=KeyPolicy(True, bound_to_loopback=True))


def test_a_file_s_key_may_look_like_any_text_and_is_never_forwarded() -> None:
    odd = Key("file:x", "odd", "plain", digest("plain-secret"), 0)
    admitted = Authenticate(MemoryKeyRing(lambda: 0, [odd]), OPTIONAL)(
        {**LOCAL, "authorization": "Bearer plain-secret"}, "127.0.0.1"
    )
    assert (admitted.caller.key, admitted.client_key) == ("odd", None)


def test_a_provider_s_key_of_a_keyless_client_is_kept_for_forwarding() -> None:
    admitted = Authenticate(MemoryKeyRing(lambda: 0), OPTIONAL)({**LOCAL, "authorization": "Bearer sk-1"}, "127.0.0.1")
    assert admitted.client_key is not None
    assert admitted.client_key.reveal() == "sk-1"
    assert "sk-1" not in repr(admitted)


@pytest.mark.parametrize(
    ("headers", "peer", "why"),
    [
        ({}, "10.0.0.9", "comes from another"),
        ({}, None, "comes from another"),
        ({"host": "evil.example"}, "127.0.0.1", "foreign host"),
        ({"host": ""}, "127.0.0.1", "foreign host"),
        ({"host": "127.0.0.1.evil.example"}, "127.0.0.1", "foreign host"),
        ({"forwarded": "for=1.2.3.4"}, "127.0.0.1", "forwarded"),
        ({"x-forwarded-for": "127.0.0.1"}, "127.0.0.1", "forwarded"),
        ({"origin": "https://evil.example"}, "127.0.0.1", "web page"),
        ({"origin": "null"}, "127.0.0.1", "web page"),
        ({"origin": "http://localhost:9999"}, "127.0.0.1", "web page"),
        ({"sec-fetch-site": "cross-site"}, "127.0.0.1", "web page"),
    ],
)
def test_keyless_calls_of_others_are_refused(headers: dict[str, str], peer: str | None, why: str) -> None:
    assert why in admit(headers, peer=peer)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "127.0.0.1"},
        {"host": "[::1]:4000"},
        {"origin": "http://localhost:4000"},
        {"origin": "https://app.example", "sec-fetch-site": "cross-site"},
    ],
)
def test_keyless_calls_of_this_machine_s_user_are_served(headers: dict[str, str]) -> None:
    assert admit(headers) == "keyless"


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.1.2.3", True), ("::1", True), ("::ffff:127.0.0.1", True), ("a.localhost", True), ("10.0.0.1", False),
     ("localhost.evil.example", False), ("", False)],
)  # fmt: skip
def test_what_is_this_machine(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_expired_and_revoked_keys_are_refused() -> None:
    expired = Key("k", "ci", "tk-abc", digest("tk-abc"), 0, expires_us=5)
    ring = MemoryKeyRing(lambda: 5, [expired])
    with pytest.raises(Fault, match="expired"):
        Authenticate(ring, OPTIONAL)({**LOCAL, "authorization": "Bearer tk-abc"}, "127.0.0.1")


def test_keys_are_needed_as_soon_as_something_is_counted_by_key() -> None:
    """Else a call without one would escape its budget."""
    with pytest.raises(Fault, match="no API key was sent"):
        Authenticate(MemoryKeyRing(lambda: 0, ()), OPTIONAL, lambda: True)(LOCAL, "127.0.0.1")
    explicit = KeyPolicy(required=False, bound_to_loopback=True)
    admitted = Authenticate(MemoryKeyRing(lambda: 0, ()), explicit, lambda: True)(LOCAL, "127.0.0.1")
    assert admitted.caller.key is None


def test_a_frozen_key_is_refused_until_it_is_lifted_and_no_other_is() -> None:
    frozen = InForce([Action("a", "alert", "loops", Deed(Act.FREEZE), "ci", 0)])
    other = Key("k2", "cd", "tk-xyz", digest("tk-xyz"), 0)
    acting = [frozen]
    authenticate = Authenticate(MemoryKeyRing(lambda: 0, [KEY, other]), OPTIONAL, actions=lambda: acting[-1])
    with pytest.raises(Fault, match="frozen by the rule loops at 1970") as fault:
        authenticate({**LOCAL, "authorization": "Bearer tk-abc"}, "127.0.0.1")
    assert fault.value.kind is Kind.BAD_KEY
    assert authenticate({**LOCAL, "authorization": "Bearer tk-xyz"}, "127.0.0.1").caller.key == "cd"
    acting.append(InForce())
    assert authenticate({**LOCAL, "authorization": "Bearer tk-abc"}, "127.0.0.1").caller.key == "ci"
