"""Scopes: whose calls a budget or a limit counts, and under which subject it counts them (contract §3).

A part of a scope fixes a dimension (`team=search`) or counts each of its values apart (`key=*`). A call that lacks a
dimension of a scope is not in it: what hangs on a client's label binds only calls that carry it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, TypeAlias, TypeVar

from gateway.core.accounts import short
from gateway.core.calls import CallFacts
from gateway.core.errors import Fault, Kind
from gateway.core.value import value

OF_CALL = ("key", "team", "model", "session", "end_user")
OF_TARGET = ("target", "provider")
TAG = "tag"
"""`tag: NAME=VALUE`; there may be several."""
ANY = "*"
"""One counter for each value."""
EVERYTHING = "everything"
"""The subject of a scope without any value of its own to count apart."""
OTHERS = "others"
"""The subject of all who came when as many were counted apart as there may be."""
LONGEST = 256
"""Characters of a value."""

Part: TypeAlias = tuple[str, str]
"""A dimension, `tag:NAME` for a tag, and its value or `ANY`."""


@value(frozen=True)
class Scope:
    """Parts in the order of their names; none: every call."""

    parts: tuple[Part, ...] = ()

    @property
    def by_target(self) -> bool:
        """Whether it depends on who is asked: then each attempt of a call may be in it or not."""
        return any(dimension in OF_TARGET for dimension, _ in self.parts)

    @property
    def by_key(self) -> bool:
        return any(dimension == "key" for dimension, _ in self.parts)

    @property
    def counted(self) -> tuple[str, ...]:
        """The dimensions whose values are counted apart."""
        return tuple(dimension for dimension, fixed in self.parts if fixed == ANY)

    def as_text(self) -> str:
        """As people write it, `key=*,team=search`; nothing for every call."""
        return ",".join(f"{dimension}={fixed}" for dimension, fixed in self.parts)

    def as_dict(self) -> dict[str, str | list[str]]:
        """As settings and the API write it: tags are a list under one name."""
        said: dict[str, str | list[str]] = {name: fixed for name, fixed in self.parts if not _is_tag(name)}
        tags = [f"{name.partition(':')[2]}={fixed}" for name, fixed in self.parts if _is_tag(name)]
        return {**said, TAG: tags} if tags else said


def _is_tag(dimension: str) -> bool:
    return dimension.startswith(f"{TAG}:")


def scope_of(said: Iterable[Part]) -> Scope:
    """A scope from dimensions and values as a person gave them, `("tag", "env=prod")` for a tag.

    Raises `Fault` (invalid) for a dimension that there is not, one that comes twice, and an empty value.
    """
    parts: dict[str, str] = {}
    for dimension, fixed in said:
        name, wanted = _part(dimension.strip(), fixed.strip())
        if name in parts:
            raise _wrong(f"the scope names {name} twice", "name each dimension once")
        parts[name] = wanted
    return Scope(tuple(sorted(parts.items())))


def of_key(name: str) -> Scope:
    """The calls of one key."""
    return scope_of([("key", name)])


def _part(dimension: str, fixed: str) -> Part:
    if dimension == TAG:
        name, equals, tagged = fixed.partition("=")
        if not equals or not name.strip():
            raise _wrong(f"{fixed!r} is no tag", "write tag: NAME=VALUE, or NAME=* for a counter each")
        dimension, fixed = f"{TAG}:{name.strip()}", tagged.strip()
    elif dimension not in OF_CALL + OF_TARGET:
        known = ", ".join((*OF_CALL, *OF_TARGET, TAG))
        raise _wrong(f"{dimension!r} is nothing that calls can be told apart by", f"these are: {known}")
    if not fixed or len(fixed) > LONGEST:
        raise _wrong(f"the scope's {dimension} must have from 1 to {LONGEST} characters", "or `*` for a counter each")
    return dimension, fixed


def _wrong(message: str, hint: str) -> Fault:
    return Fault(Kind.INVALID, message, hint=hint, param="scope")


Seen: TypeAlias = Mapping[str, str | None]
"""What is known of a call, by dimension."""


def seen_of(facts: CallFacts, target: str | None = None, provider: str | None = None) -> dict[str, str | None]:
    """What a call, and its attempt at a target, is counted by."""
    seen = {
        "key": facts.key,
        "team": facts.team,
        "model": facts.model,
        "session": facts.session,
        "end_user": facts.end_user,
        "target": target,
        "provider": provider,
    }
    for name, tagged in facts.labels.items():
        seen[f"{TAG}:{name}"] = tagged
    return seen


def values_of(
    dimensions: Sequence[str], facts: CallFacts, target: str | None, provider: str | None
) -> tuple[str | None, ...]:
    """What is known of a call in these dimensions: all that decides where scopes of these alone count it."""
    values: list[str | None] = []
    for dimension in dimensions:
        if dimension == "key":
            values.append(facts.key)
        elif dimension == "team":
            values.append(facts.team)
        elif dimension == "model":
            values.append(facts.model)
        elif dimension == "session":
            values.append(facts.session)
        elif dimension == "end_user":
            values.append(facts.end_user)
        elif dimension == "target":
            values.append(target)
        elif dimension == "provider":
            values.append(provider)
        else:
            values.append(facts.labels.get(dimension[len(TAG) + 1 :]))
    return tuple(values)


def subject_of(scope: Scope, seen: Seen) -> str | None:
    """Under which subject a scope counts a call: `key=ci,tag:env=prod`; null if the call is not in it."""
    counted = []
    for dimension, fixed in scope.parts:
        has = seen.get(dimension)
        if has is None or (fixed not in (ANY, has)):
            return None
        if fixed == ANY:
            counted.append(f"{dimension}={_quoted(has)}")
    return short(",".join(counted)) if counted else EVERYTHING


def written(parts: Mapping[str, str]) -> str:
    """Dimensions and their values as a subject writes them, `key=ci,team=search`."""
    return ",".join([f"{name}={_quoted(has)}" for name, has in parts.items()])


def read(text: str) -> dict[str, str]:
    """What `written` wrote; of any other text what looks like it."""
    pairs = [part.partition("=") for part in text.split(",")]
    return {name: has.replace("%2C", ",").replace("%25", "%") for name, equals, has in pairs if equals}


def _quoted(has: str) -> str:
    """Two values must not read as one: the comma between them is never a value's own."""
    return has.replace("%", "%25").replace(",", "%2C") if "%" in has or "," in has else has


class Subjects:
    """The subjects that were met, by counter and window: clients can name any number of values, and no more than so
    many are counted apart."""

    def __init__(self, most: int, before: "Subjects | None" = None) -> None:
        """`before`: whose place these take."""
        self._most = most
        self._live: dict[tuple[str, int], set[str]] = {} if before is None else before._live

    def known(self, counter: str, start_us: int, subject: str) -> str:
        """The subject, or that of all who came when there were as many as are counted apart."""
        live = self._live.get((counter, start_us))
        if live is None:
            for old in [one for one in self._live if one[0] == counter and one[1] < start_us]:
                del self._live[old]
            live = self._live[counter, start_us] = set()
        if subject not in live:
            if len(live) >= self._most:
                return OTHERS
            live.add(subject)
        return subject


T = TypeVar("T")


class ScopeIndex(Generic[T]):
    """Things that have a scope, found by what a call is counted by: ten thousand cost a call no more than ten.

    Scopes of the same shape (the same dimensions, fixed or counted apart) are found by one look-up together.
    """

    def __init__(self, scoped: Iterable[tuple[Scope, T]]) -> None:
        self._shapes: dict[tuple[str, ...], dict[tuple[str, ...], list[tuple[Scope, T]]]] = {}
        for scope, thing in scoped:
            fixed = [part for part in scope.parts if part[1] != ANY]
            shape = tuple([dimension for dimension, _ in fixed])
            values = tuple([wanted for _, wanted in fixed])
            self._shapes.setdefault(shape, {}).setdefault(values, []).append((scope, thing))

    def of(self, seen: Seen) -> list[tuple[str, T]]:
        """Everything in whose scope a call is, each with the subject under which it counts it."""
        found = []
        for shape, by_values in self._shapes.items():
            for scope, thing in by_values.get(tuple([seen.get(dimension) or "" for dimension in shape]), ()):
                subject = subject_of(scope, seen)
                if subject is not None:
                    found.append((subject, thing))
        return found
