"""What the server makes of bytes, compared with h11 and uvicorn: soiled requests, any cut, no sense at all."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from gateway.server.exchange import WHOLE
from tests.server.corpus import ALL, CHUNKED, END, NEXT, head
from tests.server.talk import MemoryLine, Taken, Talk, answer, heard

# compared with h11


@dataclass(frozen=True)
class Understood:
    """What a reader makes of some bytes: the whole requests, and whether it refused what came after them."""

    requests: list[Taken]
    refused: bool
    last: bool = False
    """It listens no further, because a request said that it was the last one."""


def by_h11(raw: bytes) -> Understood:
    requests: list[Taken] = []
    while True:
        # Empty lines before a request are to be passed over (RFC 9112 §2.2), which h11 does not do.
        raw = raw.lstrip(b"\r\n")
        reader = h11.Connection(h11.SERVER, max_incomplete_event_size=2**20)
        reader.receive_data(raw)
        try:
            request, body = reader.next_event(), b""
            if not isinstance(request, h11.Request):
                return Understood(requests, False)
            while isinstance(event := reader.next_event(), h11.Data):
                body += event.data
        except h11.RemoteProtocolError:
            return Understood(requests, True)
        if not isinstance(event, h11.EndOfMessage):
            return Understood(requests, False)
        path, _, query = request.target.decode().partition("?")
        target = f"{path}?{query}" if query else path
        requests.append(Taken(request.method.decode(), target, body, tuple(request.headers)))
        reader.send(h11.Response(status_code=404, headers=[("content-length", "0")]))
        reader.send(h11.EndOfMessage())
        if reader.our_state is h11.MUST_CLOSE:
            return Understood(requests, False, last=True)
        raw, _ = reader.trailing_data


def by_us(raw: bytes, runner: asyncio.Runner) -> Understood:
    taken, statuses, still_open = runner.run(heard(raw))
    refused = statuses[-1:] > [200]
    assert statuses == [200] * len(taken) + [*statuses[len(taken) :]][: int(refused)]
    return Understood(taken, refused, not still_open and not refused)


OURS_ALONE = {
    "spaces too many in the first line: none of its parts can have one": rb"[A-Z]  +\S|\S  +HTTP/",
    "another protocol with the same framing": rb" RTSP/1\.[01]\r\n",
    "zeros before a number, however many": rb"0{10}",
    "1.0 may be kept": rb"HTTP/1\.0",
}
"""What we take and h11 does not, and why that is well."""


def plain(fields: tuple[tuple[bytes, bytes], ...]) -> list[tuple[bytes, bytes]]:
    """Without what we pass over (a wish for another protocol), and what h11 writes small."""
    return [
        (name, value.lower() if name == b"transfer-encoding" else value) for name, value in fields if name != b"upgrade"
    ]


def agree(raw: bytes, ours: Understood, theirs: Understood) -> None:
    for mine, other in zip(ours.requests, theirs.requests, strict=False):
        target = urlsplit(other.target) if "://" in other.target.partition("?")[0] else None
        if target is None:
            assert plain(mine.fields) == plain(other.fields)
            assert mine.target == other.target
        else:
            assert mine.target == (target.path or "/") + (f"?{target.query}" if target.query else "")
            assert dict(mine.fields)[b"host"].decode() == target.netloc
        assert (mine.method, mine.body) == (other.method, other.body)
    if len(ours.requests) > len(theirs.requests):
        assert any(re.search(pattern, raw) for pattern in OURS_ALONE.values()), f"we take what h11 does not: {raw!r}"
    elif len(ours.requests) < len(theirs.requests):
        assert ours.refused or ours.last, f"we wait, and h11 does not: {raw!r}"
    elif theirs.refused and not ours.refused:
        assert any(re.search(pattern, raw) for pattern in OURS_ALONE.values()), f"h11 refuses, and we do not: {raw!r}"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Understood([Taken("GET", "/")], False), Understood([], True)),
        (Understood([Taken("GET", "/")], False), Understood([], False)),
        (Understood([], False), Understood([Taken("GET", "/")], False)),
        (Understood([], False), Understood([], True)),
        (Understood([Taken("GET", "/")], True), Understood([Taken("GET", "/a")], False)),
        (Understood([Taken("POST", "/", b"a")], True), Understood([Taken("POST", "/", b"ab")], True)),
        (Understood([Taken("GET", "/", b"", ((b"x", b"y"),))], False), Understood([Taken("GET", "/")], False)),
    ],
)
def test_the_comparison_can_fail(ours: Understood, theirs: Understood) -> None:
    with pytest.raises(AssertionError):
        agree(NEXT, ours, theirs)


PATHS = st.from_regex(r"/[a-z0-9%._~/-]{0,12}(\?[a-z0-9=&%/?]{0,8})?", fullmatch=True).map(
    lambda path: re.sub("%(?![0-9a-f]{2})", "%41", path)
)
TARGETS = st.one_of(PATHS, PATHS, PATHS.map(lambda path: f"http://b.example:8080{path}"))
TOKENS = st.from_regex(r"[a-zA-Z0-9!#$&'*+.^_`|~-]{1,10}", fullmatch=True).map(lambda text: f"X-{text}")
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=12)


@st.composite
def sound_requests(draw: st.DrawFn) -> bytes:
    method = draw(st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]))
    fields = [("Host", "a.example"), *draw(st.lists(st.tuples(TOKENS, VALUES), max_size=3))]
    framing = draw(st.sampled_from(["none", "length", "chunked"]))
    chunks = draw(st.lists(st.binary(min_size=1, max_size=20), max_size=3))
    sent = b""
    if framing == "length":
        sent = b"".join(chunks)
        fields.append(("Content-Length", str(len(sent))))
    elif framing == "chunked":
        fields.append(("transfer-encoding", "chunked"))
        sent = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + END
    connection = draw(st.sampled_from([None, None, None, "keep-alive", "close", "x, y"]))
    if connection is not None:
        fields.append(("connection", connection))
    lines = [
        f"{method} {draw(TARGETS)} HTTP/1.1",
        *(f"{name}: {value}" for name, value in draw(st.permutations(fields))),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + sent


DIRT = [
    b"\r",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b"\0",
    b":",
    b";",
    b",",
    b"0",
    b"1",
    b"\x0b",
    b"\x7f",
    b"\xa0",
    b"+",
    b"-",
    b"_",
]
DIRT += [b"chunked", b"\r\nContent-Length: 3", b"\r\nTransfer-Encoding: chunked", b"\r\nHost: b", b"\r\n\r\n", b"\r\n "]
DIRT += [
    b"0\r\n\r\n",
    b"GET / HTTP/1.1\r\n",
    b"HTTP/1.0",
    b"HTTP/2.0",
    b"RTSP/1.0",
    b"x",
    b"5;a=b\r\n",
    b"%",
    b"#",
    b"?",
    b"\r\nX:",
]


@st.composite
def soiled(draw: st.DrawFn) -> bytes:
    """Some sound requests in a row, with a few bytes changed."""
    raw = b"".join(draw(st.lists(sound_requests(), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(raw)))
        raw = raw[:at] + draw(st.sampled_from(DIRT)) + raw[at + draw(st.integers(0, 3)) :]
    return raw


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@given(raw=soiled())
@settings(max_examples=300)
def test_whatever_h11_and_we_take_is_understood_the_same(raw: bytes, runner: asyncio.Runner) -> None:
    agree(raw, by_us(raw, runner), by_h11(raw))


@pytest.mark.parametrize("name", ALL)
def test_the_corpus_too(name: str, runner: asyncio.Runner) -> None:
    raw = ALL[name].raw
    agree(raw, by_us(raw, runner), by_h11(raw))


@given(raw=st.lists(sound_requests(), min_size=1, max_size=3).map(b"".join), data=st.data())
def test_any_cut_of_any_requests_gives_the_same(raw: bytes, data: st.DataObject, runner: asyncio.Runner) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1), max_size=8)))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    whole = runner.run(heard(raw))
    assert runner.run(heard(*pieces)) == whole
    assert whole[1] == [200] * len(whole[0])


@given(first=st.binary(max_size=200), second=st.binary(max_size=200))
@example(first=b"", second=b"")
def test_no_bytes_at_all_can_crash_it(first: bytes, second: bytes, runner: asyncio.Runner) -> None:
    """Nor hang it: each time there is an end, an answer, or patience for more."""
    for pieces in ((first, second), (CHUNKED + first, second), (NEXT + first, second + NEXT)):
        taken, statuses, _ = runner.run(heard(*(piece for piece in pieces if piece)))
        assert len(taken) <= len(statuses) <= len(taken) + 1


# compared with uvicorn


async def scopes_of(raw: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an application is told of a request by uvicorn (h11), and by us."""
    told: list[dict[str, Any]] = []

    async def listening(scope: Any, receive: Any, send: Any) -> None:
        told.append({name: value for name, value in scope.items() if name not in ("asgi", "state")})
        await answer(send, b"ok")

    config = Config(listening, lifespan="off", interface="asgi3", log_config=None, access_log=False)
    config.load()
    reference, talk = H11Protocol(config, ServerState(), {}), Talk(listening)
    reference.connection_made(MemoryLine())
    reference.data_received(raw)
    await talk.rest()
    await talk.says(raw)
    reference.connection_lost(None)
    await talk.ends()
    theirs, ours = told
    return theirs, ours


@given(raw=sound_requests().filter(lambda raw: b" http://" not in raw))
@example(raw=head("GET /a%20b%C3%A9%ff?c=%20 HTTP/1.1|host: a"))
@example(raw=head("GET /%2e%2e/%00 HTTP/1.1|host: a"))
@example(raw=head("HEAD /? HTTP/1.1|host: a|x: 1|X: 2"))
@example(raw=head("OPTIONS * HTTP/1.1|host: a"))
@example(raw=head("GET /a HTTP/1.0"))
def test_an_application_is_told_what_uvicorn_would_tell_it(raw: bytes, runner: asyncio.Runner) -> None:
    theirs, ours = runner.run(scopes_of(raw))
    assert ours.pop("extensions") == {WHOLE: {}}
    assert ours == theirs
