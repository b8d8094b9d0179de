"""Virtual keys: what they are, who presents them, what they allow.

The secret exists in clear only at creation. Everywhere else its SHA-256 digest stands for it:
32 random bytes need no slow hash, and the whole digest is the look-up key (known fault 77).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import field

from gateway.core.money import Nano
from gateway.core.value import value

PREFIX = "tk-"
"""Every key of ours begins so; a bearer token that does is checked and never forwarded."""


def own(key: str) -> str:
    """What the limit and the budget that a key was made with are called. No other has a colon in its name."""
    return f"key:{key}"


class Secret:
    """A text that cannot be printed, logged or serialised by accident; `reveal()` is the one way in."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __str__(self) -> str:
        return repr(self)

    def __reduce__(self) -> str:
        raise TypeError("a secret is not serialised")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


def digest(secret: str) -> str:
    """SHA-256 of a key's secret, hexadecimal: what is stored and looked up."""
    return hashlib.sha256(secret.encode()).hexdigest()


@value(frozen=True)
class Key:
    """A virtual key as it is stored; never its secret."""

    id: str
    name: str
    prefix: str
    """The first characters of the secret, to recognise it by."""
    digest: str
    created_us: int
    team: str | None = None
    models: tuple[str, ...] | None = None
    """Model names that the key may ask for, exact or with a trailing `*`; null: all."""
    labels: Mapping[str, str] = field(default_factory=dict)
    expires_us: int | None = None
    revoked_us: int | None = None
    old_digest: str | None = None
    """The digest before the last rotation, good until `old_digest_until_us`."""
    old_digest_until_us: int | None = None
    source: str = "admin"
    """`admin` (command line or API) or `file`."""
    max_cost_nano: Nano | None = None
    """The most that one call of it may cost, all its attempts together."""
    required_labels: tuple[str, ...] = ()
    """What each of its calls has to carry; `session` and `end_user` are those that scopes know."""


@value(frozen=True)
class Caller:
    """Who makes a call. A keyless caller on loopback has neither key nor team."""

    key_id: str | None = None
    key: str | None = None
    team: str | None = None
    models: tuple[str, ...] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    max_cost_nano: Nano | None = None
    """The most that one call may cost."""
    required_labels: tuple[str, ...] = ()
    """What each call has to carry; `session` and `end_user` are no labels, but can be among them."""

    def may_use(self, model: str) -> bool:
        """Whether the key's list allows this model name."""
        if self.models is None:
            return True
        return any(model == m or (m.endswith("*") and model.startswith(m[:-1])) for m in self.models)


KEYLESS = Caller()


def caller_of(key: Key) -> Caller:
    """Who calls with this key, as long as it is in force."""
    return Caller(key.id, key.name, key.team, key.models, key.labels, key.max_cost_nano, key.required_labels)


def in_force(key: Key, presented_digest: str, now_us: int) -> bool:
    """Whether a key is neither expired nor revoked nor, in the form that was presented, rotated away."""
    if key.revoked_us is not None:  # for good, whatever the clock says now
        return False
    if key.expires_us is not None and key.expires_us <= now_us:
        return False
    return presented_digest == key.digest or (
        presented_digest == key.old_digest and key.old_digest_until_us is not None and now_us < key.old_digest_until_us
    )
