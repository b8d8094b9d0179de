"""Which header fields pass, in both directions, and which are ours (contract §4; RFC 9110 §7.6.1)."""

from collections.abc import Iterable

from gateway.ports import Headers

_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
# What only concerns the line between client and gateway, or would tell the provider who our clients are.
_NOT_UPSTREAM = _HOP_BY_HOP | frozenset(
    (
        "host",
        "content-length",
        "content-encoding",
        "accept-encoding",
        "expect",
        "authorization",
        "api-key",
        "x-api-key",
        "x-goog-api-key",
        "cookie",
        "origin",
        "referer",
        "forwarded",
        "x-real-ip",
        "x-request-id",
        "via",
    )
)
_NOT_UPSTREAM_PREFIXES = ("x-tollkeeper-", "x-forwarded-", "sec-fetch-", "access-control-")
# What is true of the upstream's line alone, or would act on the gateway's own address in a browser.
_NOT_DOWNSTREAM = _HOP_BY_HOP | frozenset(
    ("content-length", "set-cookie", "alt-svc", "strict-transport-security", "server", "date", "request-id", "via")
)
_OURS = ("x-tollkeeper-", "access-control-")
SIMULATED = "x-tollkeeper-simulated"
"""Says that an answer is simulated, and by whom it was answered: it must reach whoever reads the answer."""
_NONE: frozenset[str] = frozenset()
_IN_CLEAR = ("accept-encoding", "identity")
"""The answer is read on its way, so it must not be compressed."""
_ALSO_COPIED = frozenset(("retry-after", "retry-after-ms"))
RATE_NAMES = frozenset(
    f"x-ratelimit-{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("requests", "tokens")
)
"""Ours stand in their place where a limit of ours applies."""
_COPIED = ("x-ratelimit-", "anthropic-ratelimit-", "ratelimit-")


def _named(fields: Headers) -> frozenset[str]:
    """Fields that `Connection` declares to be hop-by-hop."""
    named = _NONE
    for name, value in fields:
        if name == "connection":
            named |= {word.strip().lower() for word in value.split(",")}
    return named


def upstream_fields(fields: Headers) -> Headers:
    """The client's fields that go to the provider, and what we ask of it."""
    named = _named(fields)
    dropped = _NOT_UPSTREAM | named if named else _NOT_UPSTREAM
    passed = [field for field in fields if field[0] not in dropped and not field[0].startswith(_NOT_UPSTREAM_PREFIXES)]
    passed.append(_IN_CLEAR)
    return passed


def client_fields(fields: Headers, without: frozenset[str] = frozenset()) -> Headers:
    """The provider's fields that go to the client, but for those of ours that stand in their place.

    Its request id and its rate limits are also given under `x-upstream-`.
    """
    named = _named(fields) | without
    dropped = _NOT_DOWNSTREAM | named if named else _NOT_DOWNSTREAM
    passed: Headers = []
    for field in fields:
        name, value = field
        if name == "x-request-id" or name == "request-id":
            passed.append(("x-upstream-request-id", value))
        elif name in dropped or (name.startswith(_OURS) and name != SIMULATED):
            continue
        else:
            passed.append(field)
            if name.startswith(_COPIED) or name in _ALSO_COPIED:
                passed.append((f"x-upstream-{name.removeprefix('x-')}", value))
    return passed


def value_of(fields: Headers, *names: str) -> str | None:
    """The first field with one of these names."""
    for name, value in fields:
        if name in names:
            return value
    return None


def encode(fields: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """As the server wants them."""
    return [
        (name.encode(), value.encode() if value.isascii() else value.encode("latin-1", "replace"))
        for name, value in fields
    ]
