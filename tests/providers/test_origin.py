"""Request heads: what every one of them holds, and what can never get into one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Fault, Kind
from gateway.core.keys import Secret
from gateway.core.routing import Provider, Target
from gateway.ports import Headers, UpstreamRequest
from gateway.providers.origin import MAX_HEADS, Origin
from gateway.providers.proxies import no_proxy
from tests.providers.asking import bearer

HERE = Origin.of("http://127.0.0.1:8000/v1/", bearer, no_proxy)


def lines_of(head: bytes) -> list[str]:
    assert head.endswith(b"\r\n\r\n")
    return head[:-4].decode("latin-1").split("\r\n")


def asking(headers: Headers, path: str = "chat/completions") -> UpstreamRequest:
    return UpstreamRequest(
        Target(Provider("p", "openai", False), "m"), path, headers, (b"{}",), False, Secret("theirs")
    )


@pytest.mark.parametrize(
    ("url", "key", "line", "host"),
    [
        ("http://10.0.0.5:8000/v1", ("10.0.0.5", 8000, False), "POST /v1/x HTTP/1.1", "10.0.0.5:8000"),
        ("https://api.test/openai/v1", ("api.test", 443, True), "POST /openai/v1/x HTTP/1.1", "api.test"),
        ("https://API.test:443/", ("api.test", 443, True), "POST /x HTTP/1.1", "api.test:443"),
        ("http://[2001:db8::1]:80/v1", ("2001:db8::1", 80, False), "POST /v1/x HTTP/1.1", "[2001:db8::1]:80"),
        ("http://[::1]/v1", ("::1", 80, False), "POST /v1/x HTTP/1.1", "[::1]"),
    ],
)
def test_where_a_request_goes(url: str, key: tuple[str, int, bool], line: str, host: str) -> None:
    origin = Origin.of(url, bearer, no_proxy)
    assert origin.key == key
    assert lines_of(origin.post(asking([], "x")))[:2] == [line, f"host: {host}"]


@pytest.mark.parametrize("url", ["ftp://a/v1", "a/v1", "http:///v1", "file:///etc/passwd", "unix:/run/x"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(Fault, match="not an http"):
        Origin.of(url, bearer, no_proxy)


def test_the_framing_is_ours_alone() -> None:
    """A field that would say another length, or another way of sending it, does not leave."""
    fields = [
        ("content-length", "9"),
        ("transfer-encoding", "chunked"),
        ("host", "elsewhere.test"),
        ("connection", "close"),
        ("proxy-authorization", "Basic x"),
        ("x-tollkeeper-hop", "2"),
        ("x-kept", "yes"),
    ]
    assert lines_of(HERE.post(asking(fields))) == [
        "POST /v1/chat/completions HTTP/1.1",
        "host: 127.0.0.1:8000",
        "x-kept: yes",
        "authorization: Bearer theirs",
        "x-tollkeeper-hop: 1",
        "content-length: 2",
    ]


def test_a_repeated_head_is_the_same_but_for_its_length() -> None:
    origin = Origin.of("http://127.0.0.1:8000/v1", bearer, no_proxy)

    def ours(*fields: tuple[str, str]) -> UpstreamRequest:
        return replace(asking(list(fields)), client_key=None)

    first = origin.post(ours(("x-kept", "yes")))
    assert origin.post(ours(("x-kept", "yes"))) == first
    longer = replace(ours(("x-kept", "yes")), body=(b"longer", b" than that"))
    assert origin.post(longer) == first.replace(b"content-length: 2", b"content-length: 16")
    assert b"x-kept: no" in origin.post(ours(("x-kept", "no")))
    for number in range(2 * MAX_HEADS):
        origin.post(ours(("x-number", str(number))))
    assert 0 < len(origin.heads) <= MAX_HEADS


def test_a_client_s_own_key_is_not_kept() -> None:
    origin = Origin.of(
        "http://127.0.0.1:8000/v1", lambda key: [("authorization", key.reveal() if key else "")], no_proxy
    )
    for secret in ("one", "another"):
        assert f"authorization: {secret}" in lines_of(origin.post(replace(asking([]), client_key=Secret(secret))))
    assert not origin.heads


@pytest.mark.parametrize(
    "field",
    [
        ("x", "a\r\nx-injected: 1"),
        ("x", "a\r\n\r\nGET / HTTP/1.1"),
        ("x", "a\nx-injected: 1"),
        ("x", "a\rb"),
        ("x", "a\r\n b"),
        ("x", "a\0b"),
        ("x", "a\x7fb"),
        ("x", "a\x1bb"),
        ("x", "snowman ☃"),
        ("x\r\nx-injected: 1\r\ny", "a"),
        ("content-length: 5\r\nx", "a"),
        ("transfer-encoding: chunked, x", "a"),
        ("transfer-encoding:", "chunked"),
        ("x y", "a"),
        (" x", "a"),
        ("x ", "a"),
        ("", "a"),
        ("ä", "a"),
        ("x(", "a"),
    ],
)
def test_a_field_that_could_say_more_than_one_thing_is_refused(field: tuple[str, str]) -> None:
    with pytest.raises(Fault) as raised:
        HERE.post(asking([("x-before", "1"), field, ("x-after", "2")]))
    assert raised.value.kind is Kind.INVALID
    assert field[1] not in raised.value.sentence or len(field[1]) == 1, "the value may be a secret"


def test_a_key_with_a_line_break_is_refused_and_not_repeated() -> None:
    origin = Origin.of("http://127.0.0.1/v1", lambda _: [("authorization", "Bearer secret\r\nx: y")], no_proxy)
    with pytest.raises(Fault) as called:
        origin.post(asking([]))
    with pytest.raises(Fault) as listed:
        origin.get("models")
    assert "secret" not in called.value.sentence + listed.value.sentence


@pytest.mark.parametrize("path", ["a b", "a\r\nx: y", "a HTTP/1.1\r\nx: y", "ä"])
def test_a_path_that_could_say_more_than_one_thing_is_refused(path: str) -> None:
    with pytest.raises(Fault):
        HERE.get(path)


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=5))
def test_any_fields_arrive_as_they_are_or_not_at_all(fields: Headers) -> None:
    try:
        head = HERE.post(asking(fields))
    except Fault:
        return
    sent = [(name, value) for name, value in fields if name not in ("host", "connection")]
    arrived = [tuple(line.split(": ", 1)) for line in lines_of(head)[1:]]
    assert arrived[1:-3] == sent
    assert len(arrived) == len(sent) + 4


@given(
    st.lists(
        st.tuples(
            st.text("abcdefghijklmnopqrstuvwxyz0123456789-_!#$%&'*+.^`|~", min_size=1).map(lambda name: f"x{name}"),
            st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"])),
        ),
        max_size=5,
    )
)
def test_every_sound_field_arrives(fields: Headers) -> None:
    arrived = [tuple(line.split(": ", 1)) for line in lines_of(HERE.post(asking(fields)))[1:]]
    assert arrived[1:-3] == fields


def test_what_is_shown_holds_no_secret() -> None:
    origin = Origin.of("https://api.test/v1", bearer, lambda *_: "http://user:secret@proxy.test:3128")
    assert origin.shown == "api.test:443 through the proxy proxy.test:3128"
    assert "secret" not in repr(origin)
