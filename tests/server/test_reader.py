"""What the server makes of bytes: a corpus of sound and of poisoned requests, cut everywhere, and its limits."""

from typing import Any

import pytest

from gateway.server.head import Refused, scope_of_line
from gateway.server.limits import CHUNK_OVERHEAD, FREE_OVERHEAD, MAX_FIELDS, MAX_HEAD, MAX_TARGET
from gateway.server.reader import SLICE, Reader
from tests.server.corpus import ALL, CHUNKED, CHUNKS, END, LINES, NEXT, PIPES, REFUSED, SMUGGLED, SOUND, head
from tests.server.talk import Taken, Talk, heard, until

by_name = pytest.mark.parametrize("name", ALL)


def test_there_are_enough_cases_to_mean_something() -> None:
    assert len(REFUSED) >= 60
    assert len(ALL) == sum(map(len, (SOUND, SMUGGLED, CHUNKS, LINES, PIPES))), "two cases share a name"


@pytest.mark.anyio
@by_name
async def test_requests_are_taken_as_they_should_be_or_refused(name: str) -> None:
    case = ALL[name]
    assert await heard(case.raw) == (list(case.taken), list(case.statuses), case.open)


@pytest.mark.anyio
@by_name
async def test_how_the_bytes_are_cut_changes_nothing(name: str) -> None:
    """At every byte, and once at each place."""
    case = ALL[name]
    raw, expected = case.raw, (list(case.taken), list(case.statuses), case.open)
    assert await heard(*(raw[at : at + 1] for at in range(len(raw)))) == expected
    for cut in range(1, len(raw)):
        assert await heard(raw[:cut], raw[cut:]) == expected, f"cut at {cut}"


# limits


async def status_of(*pieces: bytes) -> int:
    """The status of the only answer."""
    _, statuses, _ = await heard(*pieces)
    (status,) = statuses
    return status


def sized(size: int) -> bytes:
    """A request whose target and fields have this many bytes, counted as the limit counts them."""
    fields = b"".join(b"x-%d: %b\r\n" % (number, b"y" * 990) for number in range(size // 1000 - 1))
    head = b"GET / HTTP/1.1\r\nhost: a\r\n" + fields + b"x: "
    return head + b"y" * (size - (len(head) - len("GET  HTTP/1.1\r\n") + 2)) + b"\r\n\r\n"


@pytest.mark.anyio
@pytest.mark.parametrize("piece", [1_000_000, 60_000, 1000, 100])
async def test_a_head_has_a_largest_size(piece: int) -> None:
    """To the byte, however it comes."""
    for size, status in ((MAX_HEAD, 200), (MAX_HEAD + 1, 431), (MAX_HEAD + 30_000, 431)):
        raw = sized(size)
        assert await status_of(*(raw[at : at + piece] for at in range(0, len(raw), piece))) == status


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("start", "flood", "status"),
    [
        (b"", b"\r\n", 431),
        (b"GET /", b"a" * 4096, 414),
        (b"GET / HTTP/1.1\r\n", b"x: y\r\n" * 500, 431),
        (b"GET / HTTP/1.1\r\n", b"x" * 4096, 431),
        (b"GET / HTTP/1.1\r\nx: ", b"y" * 4096, 431),
        (b"GET / HTTP/1.1\r\nx: ", b" " * 4096, 431),
    ],
)
async def test_a_head_without_an_end_is_refused_while_it_comes(start: bytes, flood: bytes, status: int) -> None:
    talk = Talk()
    await talk.says(start)
    sent = 0
    while talk.open:
        await talk.says(flood)
        sent += len(flood)
        assert sent <= MAX_HEAD + 2 * SLICE
    assert talk.statuses() == [status]
    await talk.ends()


@pytest.mark.anyio
async def test_a_head_has_a_largest_number_of_fields() -> None:
    for more, status in ((0, 200), (1, 431)):
        fields = "|".join(f"x: {number}" for number in range(MAX_FIELDS - 1 + more))
        assert await status_of(head(f"GET / HTTP/1.1|host: a|{fields}")) == status


@pytest.mark.anyio
async def test_a_target_has_a_largest_size() -> None:
    for more, status in ((0, 200), (1, 414)):
        assert await status_of(head(f"GET /{'a' * (MAX_TARGET - 1 + more)} HTTP/1.1|host: a")) == status


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("start", "flood"),
    [
        (CHUNKED + b"1;", b"a" * 4096),
        (CHUNKED + b"1\r\nx\r\n", b"0" * 4096),
        (CHUNKED + b"0\r\n", b"x: y\r\n" * 500),
        (CHUNKED + b"0\r\nx: ", b"y" * 4096),
        (CHUNKED, b"1;" + b"a" * 4092 + b"\r\nx\r\n"),
    ],
)
async def test_chunks_may_not_have_much_beside_their_data(start: bytes, flood: bytes) -> None:
    """CVE-2023-39326: a client that sends a kilobyte of extension for each byte."""
    talk = Talk()
    await talk.says(start)
    sent = 0
    while talk.open:
        await talk.says(flood)
        sent += len(flood)
        assert sent <= FREE_OVERHEAD + 2 * SLICE
    assert talk.statuses() == [400]
    assert talk.recorder.taken == []
    await talk.ends()


@pytest.mark.anyio
async def test_a_body_may_come_in_any_number_of_small_chunks() -> None:
    count = 3 * FREE_OVERHEAD // CHUNK_OVERHEAD
    raw = CHUNKED + b"1;a=b\r\nx\r\n" * count + END
    assert await heard(raw) == ([Taken("POST", "/", b"x" * count)], [200], True)


@pytest.mark.anyio
async def test_the_end_of_a_large_body_is_no_part_of_a_head() -> None:
    talk = Talk()
    body = b"x" * (3 * MAX_HEAD)
    await talk.says(head(f"POST / HTTP/1.1|host: a|content-length: {len(body)}"))
    await talk.says(body)
    await talk.says(NEXT)
    await talk.rest()
    assert talk.statuses() == [200, 200]
    assert [len(taken.body) for taken in talk.recorder.taken] == [len(body), 0]
    await talk.ends()


@pytest.mark.anyio
async def test_a_thousand_requests_at_once_are_read_a_few_at_a_time() -> None:
    """A read of 100 kB may hold thousands of them, each of which would take a kilobyte of memory."""
    talk = Talk()
    reader = Reader(talk.connection, scope_of_line("http", None, None))
    reader.read(NEXT * 1000, busy=False)
    assert 0 < len(reader.ready) <= SLICE // len(NEXT) + 1
    assert len(reader.held) == 1000 * len(NEXT) - SLICE
    await talk.says(NEXT * 1000)
    await until(lambda: len(talk.recorder.taken) == 1000)
    await talk.rest()
    assert talk.statuses() == [200] * 1000
    await talk.ends()


class Broken(dict[str, Any]):
    def copy(self) -> dict[str, Any]:
        raise RuntimeError("ours")


@pytest.mark.anyio
async def test_a_fault_of_our_own_is_not_blamed_on_the_client(caplog: pytest.LogCaptureFixture) -> None:
    talk = Talk()
    with pytest.raises(Refused) as refused:
        Reader(talk.connection, Broken()).read(NEXT, busy=False)
    assert refused.value.status == 500
    assert "RuntimeError: ours" in caplog.text
    await talk.ends()
