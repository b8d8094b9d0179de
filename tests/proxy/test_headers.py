"""Which header fields pass."""

from gateway.proxy.headers import client_fields, encode, upstream_fields, value_of


def test_what_goes_to_the_provider() -> None:
    fields = [
        ("host", "localhost"), ("content-type", "application/json"), ("authorization", "Bearer x"), ("cookie", "c"),
        ("connection", "close, X-Hop"), ("x-hop", "1"), ("te", "trailers"), ("openai-organization", "org"),
        ("x-stainless-lang", "python"), ("x-tollkeeper-session", "s"), ("x-forwarded-for", "1.2.3.4"),
        ("accept-encoding", "gzip"), ("content-length", "5"), ("x-request-id", "mine"), ("origin", "https://a"),
    ]  # fmt: skip
    assert upstream_fields(fields) == [
        ("content-type", "application/json"),
        ("openai-organization", "org"),
        ("x-stainless-lang", "python"),
        ("accept-encoding", "identity"),
    ]


def test_what_comes_back() -> None:
    fields = [
        ("content-type", "application/json"), ("content-length", "5"), ("transfer-encoding", "chunked"),
        ("server", "x"), ("date", "now"), ("request-id", "r"), ("x-ratelimit-limit-requests", "9"),
        ("set-cookie", "a"),
        ("alt-svc", "h3"), ("access-control-allow-origin", "*"), ("openai-version", "1"), ("retry-after", "2"),
    ]  # fmt: skip
    assert client_fields(fields) == [
        ("content-type", "application/json"),
        ("x-upstream-request-id", "r"),
        ("x-ratelimit-limit-requests", "9"),
        ("x-upstream-ratelimit-limit-requests", "9"),
        ("openai-version", "1"),
        ("retry-after", "2"),
        ("x-upstream-retry-after", "2"),
    ]


def test_first_field_wins_and_odd_text_survives() -> None:
    assert value_of([("a", "1"), ("b", "2"), ("b", "3")], "b", "c") == "2"
    assert value_of([], "b") is None
    assert encode([("a", "é→")]) == [(b"a", b"\xe9?")]
