"""What a head says; the corpus has what is refused."""

from typing import Any

import pytest

from gateway.server.head import Field, Refused, check_size, scope_of, scope_of_line, without_upgrade
from gateway.server.limits import MAX_HEAD, MAX_TARGET

LINE = scope_of_line("http", ("127.0.0.1", 5), ("127.0.0.1", 4000))


def scope(target: bytes, *fields: Field, method: bytes = b"GET", version: str = "1.1") -> dict[str, Any]:
    given = [(b"host", b"a"), *fields]
    return scope_of(LINE, method, version, target, given, dict(given))


def test_a_scope_has_what_asgi_asks_for() -> None:
    assert scope(b"/a?b", (b"x", b"y")) == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/a",
        "raw_path": b"/a",
        "query_string": b"b",
        "root_path": "",
        "extensions": {"http.response.whole": {}},
        "headers": [(b"host", b"a"), (b"x", b"y")],
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 4000),
    }


def test_scopes_share_nothing_that_changes() -> None:
    one, other = scope(b"/a"), scope(b"/b")
    one["headers"].append((b"x", b"y"))
    one["state"] = {}
    assert "state" not in other
    assert other["headers"] == [(b"host", b"a")]


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query"),
    [
        (b"/", "/", b"/", b""),
        (b"/a%20b", "/a b", b"/a%20b", b""),
        (b"/%C3%A9", "/é", b"/%C3%A9", b""),
        (b"/%ff", "/\ufffd", b"/%ff", b""),
        (b"/%zz%", "/%zz%", b"/%zz%", b""),
        (b"/a/../b//c", "/a/../b//c", b"/a/../b//c", b""),
        (b"/a?b?c=%20", "/a", b"/a", b"b?c=%20"),
        (b"/a?", "/a", b"/a", b""),
        (b"//b/c", "//b/c", b"//b/c", b""),
    ],
)
def test_a_path_is_decoded_and_a_query_is_not(target: bytes, path: str, raw_path: bytes, query: bytes) -> None:
    found = scope(target)
    assert (found["path"], found["raw_path"], found["query_string"]) == (path, raw_path, query)


@pytest.mark.parametrize(
    ("target", "host", "raw_path", "query"),
    [
        (b"http://b/c?d", b"b", b"/c", b"d"),
        (b"https://b:1", b"b:1", b"/", b""),
        (b"HTTP://[::1]/", b"[::1]", b"/", b""),
        (b"http://b?c/d", b"b", b"/", b"c/d"),
    ],
)
def test_the_host_of_an_absolute_target_is_the_one_that_counts(
    target: bytes, host: bytes, raw_path: bytes, query: bytes
) -> None:
    """RFC 9112 §3.2.2: a client that names another one in its `Host` field must not be believed."""
    found = scope(target, (b"x", b"y"))
    assert found["headers"] == [(b"host", host), (b"x", b"y")]
    assert (found["raw_path"], found["query_string"]) == (raw_path, query)


def test_an_old_client_need_not_name_a_host() -> None:
    assert scope_of(LINE, b"GET", "1.0", b"/", [], {})["http_version"] == "1.0"


def test_a_head_has_a_size() -> None:
    check_size(b"/" * MAX_TARGET, [])
    check_size(b"/", [(b"x", b"y" * (MAX_HEAD - 6))])
    with pytest.raises(Refused) as longer:
        check_size(b"/" * (MAX_TARGET + 1), [])
    assert longer.value.status == 414
    with pytest.raises(Refused) as larger:
        check_size(b"/", [(b"x", b"y" * (MAX_HEAD - 5))])
    assert larger.value.status == 431


def test_a_wish_for_another_protocol_is_passed_over() -> None:
    fields = [(b"host", b"a"), (b"upgrade", b"h2c"), (b"content-length", b"2")]
    assert without_upgrade(b"POST", "1.1", b"/a?b", fields) == (
        b"POST /a?b HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n"
    )
