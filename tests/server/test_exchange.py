"""A request and its answer as an application sees them, by the letter of ASGI 3."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.net.outbox import AT_ONCE
from gateway.server.exchange import WHOLE, Application, Receive, Send
from gateway.server.gone import ClientLeft
from gateway.server.limits import MAX_BODY_WAITING
from tests.server.applications import START, UNFRAMED, body, sending
from tests.server.corpus import CHUNKED, END, NEXT, head
from tests.server.talk import Talk, answer

EXPECTING = head("POST / HTTP/1.1|host: a|expect: 100-continue|content-length: 2")
CHUNKS = "200 OK|transfer-encoding: chunked"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Listening:
    """An application that keeps what it is told, and answers when its body is whole."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            self.told.append(message)
            if message["type"] == "http.disconnect":
                return
            if not message["more_body"]:
                await answer(send, b"ok")


def part(data: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


# receive


@pytest.mark.anyio
async def test_a_body_that_came_with_its_head_is_told_at_once_and_whole() -> None:
    application = Listening()
    talk = Talk(application)
    await talk.says(head("POST / HTTP/1.1|host: a|content-length: 5") + b"hello")
    assert application.told == [part(b"hello", more=False), {"type": "http.disconnect"}]


@pytest.mark.anyio
async def test_a_request_without_a_body_has_an_empty_one() -> None:
    application = Listening()
    await Talk(application).says(NEXT)
    assert application.told[0] == part(b"", more=False)


@pytest.mark.anyio
async def test_a_body_is_told_as_it_comes() -> None:
    application = Listening()
    talk = Talk(application)
    await talk.says(CHUNKED, b"2\r\nhe\r\n1\r\nl\r\n", b"2\r\nl", b"o\r\n", END)
    assert application.told[:-1] == [part(b"hel"), part(b"l"), part(b"o"), part(b"", more=False)]


@pytest.mark.anyio
async def test_a_large_part_is_told_alone() -> None:
    """To join it with what came before would take as much memory again."""
    whole = bytes(range(256)) * (AT_ONCE // 128)
    application = Listening()
    await Talk(application).says(head(f"POST / HTTP/1.1|host: a|content-length: {len(whole)}") + whole)
    first, second, _ = application.told
    assert (len(first["body"]) < AT_ONCE, first["more_body"]) == (True, True)
    assert second == part(whole[len(first["body"]) :], more=False)


@pytest.mark.anyio
async def test_after_the_answer_there_is_nothing_more_to_be_told() -> None:
    told: list[Any] = []

    async def application(scope: Any, receive: Receive, send: Send) -> None:
        await answer(send, b"ok")
        told.append(await receive())

    await Talk(application).says(NEXT)
    assert told == [{"type": "http.disconnect"}]


@pytest.mark.anyio
async def test_several_may_wait_for_the_client_to_leave() -> None:
    told: list[Any] = []

    async def application(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        waiting = [asyncio.ensure_future(receive()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        told.extend(await asyncio.gather(*waiting, return_exceptions=True))

    talk = Talk(application)
    await talk.says(NEXT)
    await talk.ends()
    assert isinstance(told[0], asyncio.CancelledError)
    assert told[1:] == [{"type": "http.disconnect"}] * 2


@pytest.mark.anyio
async def test_whoever_waits_for_the_client_to_leave_hears_of_the_answer() -> None:
    """A framework waits so beside the answer that it sends."""
    told: list[Any] = []

    async def application(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        waiting = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        await answer(send, b"ok")
        told.append(await waiting)

    talk = Talk(application)
    await talk.says(NEXT)
    assert told == [{"type": "http.disconnect"}]
    assert talk.open


@pytest.mark.anyio
async def test_a_body_that_is_not_read_holds_the_client_back() -> None:
    go_on = asyncio.Event()
    sizes: list[int] = []

    async def application(scope: Any, receive: Receive, send: Send) -> None:
        while True:
            await go_on.wait()
            go_on.clear()
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            sizes.append(len(message["body"]))

    talk = Talk(application)
    size = 10 * MAX_BODY_WAITING
    await talk.says(head(f"POST / HTTP/1.1|host: a|content-length: {size}"))
    for _ in range(3):
        while talk.line.is_reading():
            await talk.says(b"x" * 10_000)
        go_on.set()
        await talk.rest()
        assert MAX_BODY_WAITING < sizes[-1] < MAX_BODY_WAITING + 20_000
    await talk.ends()
    go_on.set()
    await talk.rest()


# 100-continue


@pytest.mark.anyio
async def test_who_asks_whether_its_body_is_wanted_is_told_when_it_is() -> None:
    talk = Talk()
    await talk.says(EXPECTING)
    assert talk.hears() == CONTINUE
    await talk.says(b"hi")
    assert talk.statuses() == [200]
    assert talk.open


@pytest.mark.anyio
@pytest.mark.parametrize(
    "raw",
    [
        EXPECTING + b"hi",
        head("POST / HTTP/1.0|expect: 100-continue|content-length: 2") + b"h",
        head("GET / HTTP/1.1|host: a|expect: 100-continue"),
    ],
    ids=["the body is there", "HTTP/1.0", "there is no body"],
)
async def test_who_need_not_ask_is_told_nothing(raw: bytes) -> None:
    talk = Talk()
    await talk.says(raw)
    assert CONTINUE not in talk.hears()


@pytest.mark.anyio
@pytest.mark.parametrize("application", [sending(START, body(b"no")), sending(UNFRAMED, body(b"no"))])
async def test_who_asks_may_be_refused_at_once(application: Application) -> None:
    """Whether its body comes all the same nobody can tell: nothing after it could be trusted."""
    talk = Talk(application)
    await talk.says(EXPECTING)
    said = talk.hears()
    assert CONTINUE not in said
    assert b"\r\nconnection: close\r\n" in said
    assert not talk.open


@pytest.mark.anyio
async def test_who_asks_hears_nothing_once_the_answer_has_begun() -> None:
    async def application(scope: Any, receive: Receive, send: Send) -> None:
        await send(UNFRAMED)
        assert (await receive())["body"] == b"hi"
        await send(body(b"ok"))

    talk = Talk(application)
    await talk.says(EXPECTING, b"hi")
    said = talk.hears()
    assert CONTINUE not in said
    assert said.endswith(b"2\r\nok\r\n0\r\n\r\n")


# send


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "messages", "expected"),
    [
        ("GET", [START, body(b"ok")], "200 OK|content-length: 2||ok"),
        ("GET", [START, body(b"o", more=True), body(b"k")], "200 OK|content-length: 2||ok"),
        ("GET", [START, body(b"ok", more=True), body(b"")], "200 OK|content-length: 2||ok"),
        ("GET", [START, {"type": "http.response.body", "body": b"ok"}], "200 OK|content-length: 2||ok"),
        ("GET", [UNFRAMED, body(b"ok")], f"{CHUNKS}||2|ok|0||"),
        ("GET", [UNFRAMED, body(b"o", more=True), body(b"k" * 17)], f"{CHUNKS}||1|o|11|{'k' * 17}|0||"),
        ("GET", [UNFRAMED, body(b"", more=True), body(b"k", more=True), body(b"")], f"{CHUNKS}||1|k|0||"),
        ("GET", [UNFRAMED, {"type": "http.response.body"}], f"{CHUNKS}||0||"),
        ("HEAD", [START, body(b"")], "200 OK|content-length: 2||"),
        ("HEAD", [START, body(b"ok")], "200 OK|content-length: 2||"),
        ("HEAD", [UNFRAMED, body(b"ok", more=True), body(b"ok")], "200 OK||"),
        ("GET", [{**UNFRAMED, "status": 204}, body(b"")], "204 No Content||"),
        ("GET", [{**START, "status": 304}, body(b"")], "304 Not Modified|content-length: 2||"),
        ("GET", [{**START, "headers": iter(START["headers"])}, body(b"ok")], "200 OK|content-length: 2||ok"),
    ],
)
async def test_an_answer_is_framed(method: str, messages: Sequence[dict[str, Any]], expected: str) -> None:
    talk = Talk(sending(*messages))
    await talk.says(head(f"{method} / HTTP/1.1|host: a"))
    assert talk.hears() == ("HTTP/1.1 " + expected.replace("|", "\r\n")).encode()
    assert talk.open


@pytest.mark.anyio
async def test_an_answer_to_an_old_client_ends_with_its_line() -> None:
    talk = Talk(sending(UNFRAMED, body(b"o", more=True), body(b"k")))
    await talk.says(head("GET / HTTP/1.0|connection: keep-alive"))
    assert talk.hears() == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok"
    assert talk.line.closed


@pytest.mark.anyio
async def test_an_old_client_is_kept_if_it_asks_and_the_answer_has_a_length() -> None:
    talk = Talk(sending(START, body(b"ok")))
    await talk.says(head("GET / HTTP/1.0|connection: keep-alive"))
    assert talk.hears() == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok"
    assert talk.open


@pytest.mark.anyio
async def test_the_head_of_a_stream_leaves_at_once() -> None:
    """The first event may be long in coming."""
    go_on = asyncio.Event()

    async def application(scope: Any, receive: Receive, send: Send) -> None:
        await send(UNFRAMED)
        await go_on.wait()
        await send(body(b""))

    talk = Talk(application)
    await talk.says(NEXT)
    assert talk.hears() == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    go_on.set()
    await talk.rest()
    assert talk.hears() == END


@pytest.mark.anyio
@pytest.mark.parametrize("start", [{**START, "headers": [(b"content-length", b"%d" % (3 * AT_ONCE))]}, UNFRAMED])
async def test_large_pieces_are_sent_whole(start: dict[str, Any]) -> None:
    pieces = [b"a" * AT_ONCE, b"b" * AT_ONCE, b"c" * AT_ONCE]
    talk = Talk(sending(start, *(body(piece, more=True) for piece in pieces), body(b"")))
    await talk.says(NEXT)
    said = talk.hears()
    for piece in pieces:
        assert piece in said
    assert len(said) < 3 * AT_ONCE + 200


@pytest.mark.anyio
async def test_sending_waits_while_the_client_takes_nothing() -> None:
    sent = 0

    async def application(scope: Any, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send(UNFRAMED)
        for _ in range(3):
            await send(body(b"x" * 1000, more=True))
            sent += 1
        await send(body(b""))

    talk = Talk(application)
    talk.connection.pause_writing()
    await talk.says(NEXT)
    assert (sent, talk.hears()) == (0, b"")
    talk.connection.resume_writing()
    await talk.rest()
    assert sent == 3
    assert talk.hears().endswith(END)


@pytest.mark.anyio
async def test_an_application_that_never_waits_cannot_fill_the_memory() -> None:
    """What is sent within one turn of the event loop is written before it is much, so that the line can say stop."""
    written = 0

    async def application(scope: Any, receive: Receive, send: Send) -> None:
        nonlocal written
        await send(UNFRAMED)
        for _ in range(2 * AT_ONCE // 100):
            await send(body(b"x" * 100, more=True))
        written = len(talk.line.written)

    talk = Talk(application)
    await talk.says(NEXT)
    assert written > AT_ONCE


@pytest.mark.anyio
@pytest.mark.parametrize("choked", [False, True])
async def test_sending_to_a_client_that_has_left_is_an_error_of_the_system(choked: bool) -> None:
    """ASGI 2.4: what the data plane counts on, and Starlette."""
    raised: list[Exception] = []
    go_on = asyncio.Event()

    async def application(scope: Any, receive: Receive, send: Send) -> None:
        if not choked:
            await go_on.wait()
        try:
            await answer(send, b"ok")
        except OSError as error:
            raised.append(error)

    talk = Talk(application)
    if choked:
        talk.connection.pause_writing()
    await talk.says(NEXT)
    await talk.ends()
    go_on.set()
    await talk.rest()
    assert [type(error) for error in raised] == [ClientLeft]
    assert talk.hears() == b""


# an answer in one message


def whole(content: bytes, *fields: tuple[str, str], status: int = 200) -> dict[str, Any]:
    return {"type": WHOLE, "status": status, "fields": list(fields), "body": content}


@pytest.mark.anyio
@pytest.mark.parametrize("size", [2, AT_ONCE])
@pytest.mark.parametrize(
    "request_head",
    [NEXT, head("GET / HTTP/1.1|host: a|connection: close"), head("GET / HTTP/1.0"), head("HEAD / HTTP/1.1|host: a")],
)
async def test_an_answer_in_one_message_is_the_answer_in_two(request_head: bytes, size: int) -> None:
    content = b"x" * size
    fields = [("x-name", "grün"), ("set-cookie", "a"), ("set-cookie", "b")]
    parted = [(name.encode(), value.encode("latin-1")) for name, value in fields]
    start = {"type": "http.response.start", "status": 200, "headers": [*parted, (b"content-length", b"%d" % size)]}
    in_one, in_two = Talk(sending(whole(content, *fields))), Talk(sending(start, body(content)))
    for talk in (in_one, in_two):
        await talk.says(request_head)
        await talk.rest()
    assert in_one.hears() == in_two.hears()
    assert in_one.line.is_closing() == in_two.line.is_closing()


@pytest.mark.anyio
async def test_a_status_without_a_body_has_none_in_one_message_either() -> None:
    talk = Talk(sending(whole(b"", status=204)))
    await talk.says(NEXT)
    heard = talk.hears()
    assert heard.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert b"content-length" not in heard
    assert heard.endswith(b"\r\n\r\n")


@pytest.mark.anyio
@pytest.mark.parametrize("bad", ["a\r\nx-other: 1", "a\nb", "a\rb"])
async def test_no_field_of_an_answer_in_one_message_becomes_two(bad: str) -> None:
    talk = Talk(sending(whole(b"ok", ("x-name", bad))))
    await talk.says(NEXT)
    heard = talk.hears()
    assert (heard[:13], b"x-other" in heard) == (b"HTTP/1.1 500 ", False)


@pytest.mark.anyio
async def test_an_answer_in_one_message_is_the_only_one() -> None:
    talk = Talk(sending(START, whole(b"ok")))
    await talk.says(NEXT)
    assert talk.line.is_closing()
