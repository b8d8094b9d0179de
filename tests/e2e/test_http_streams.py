"""Long answers on raw sockets, against a real process: unbuffered, held back for slow readers, cut for who leaves."""

import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Semaphore
from time import monotonic

import pytest

from tests.e2e.gateway import Served, until
from tests.e2e.raw import MIB, Answers, body_for, post
from tests.e2e.upstream import DONE, END, EVENTS, PATIENCE, USAGE, Line, Request, Upstream, chunk, event


@pytest.mark.timed
def test_each_event_leaves_while_the_upstream_waits_with_the_next(gateway: Served, upstream: Upstream) -> None:
    """Nothing is held back until more comes, nor until the client has acknowledged what came before (TCP_NODELAY).

    With Nagle's algorithm every other event would wait 40 ms here, for a client that acknowledges late: 60 of them
    take 1.3 seconds then.
    """
    count, heard = 60, Semaphore(0)

    def script(_: Request, line: Line) -> None:
        line.send(EVENTS)
        for number in range(count):
            line.send(chunk(event(f"word {number}")))
            assert heard.acquire(timeout=PATIENCE), f"event {number} was held back"
        line.send(chunk(event(finish="stop")), chunk(DONE), END)

    upstream.plays("edge-unbuffered", script)
    with gateway.connect() as line:
        line.sendall(post(body_for("up/edge-unbuffered", stream=True)))
        answers = Answers(line)
        status, fields = answers.head()
        assert (status, fields["transfer-encoding"], fields["cache-control"]) == (200, "chunked", "no-cache")
        begun = monotonic()
        for number in range(count):
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
            assert f"word {number}".encode() in answers.piece()
            heard.release()
        assert monotonic() - begun < 0.7
        while answers.piece():
            pass
    assert gateway.row(model="up/edge-unbuffered")["end"] == "completed"


@pytest.mark.parametrize("when", ["before the head", "in the stream", "in a whole answer"])
@pytest.mark.timed
def test_a_client_that_leaves_cancels_the_upstream_within_a_second(
    when: str, gateway: Served, upstream: Upstream
) -> None:
    """Known faults 1 to 3: whole, streamed, or before anything came; each leaves a row."""
    left: list[float] = []
    arrived = Event()

    def script(_: Request, line: Line) -> None:
        if when == "in the stream":
            line.send(EVENTS, chunk(event("four")))
        elif when == "in a whole answer":
            line.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{")
        arrived.set()
        left.append(line.wait_until_left())

    model = upstream.plays(f"edge-left-{when.replace(' ', '-')}", script)
    with gateway.connect() as line:
        line.sendall(post(body_for(f"up/{model}", stream=when == "in the stream")))
        assert arrived.wait(PATIENCE)
        if when == "in the stream":
            assert Answers(line).head()[0] == 200
        begun = monotonic()
    until(lambda: left, "the upstream's line to close", within=1)
    assert monotonic() - begun < 1
    row = gateway.row(within=2, model=f"up/{model}")
    assert (row["end"], row["usage_basis"]) == ("cut_by_client", "estimated")
    assert row["cost_usd"] is not None


@pytest.mark.timed
def test_a_cut_line_is_noticed_like_a_closed_one(gateway: Served, upstream: Upstream) -> None:
    left: list[float] = []

    def script(_: Request, line: Line) -> None:
        line.send(EVENTS, chunk(event("four")))
        left.append(line.wait_until_left())

    upstream.plays("edge-reset", script)
    line = gateway.connect()
    line.sendall(post(body_for("up/edge-reset", stream=True)))
    Answers(line).head()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()
    until(lambda: left, "the upstream's line to close", within=1)
    assert gateway.row(within=2, model="up/edge-reset")["end"] == "cut_by_client"


def test_a_slow_reader_of_a_large_answer_keeps_the_memory_flat(gateway: Served, upstream: Upstream) -> None:
    """200 MB from an upstream as fast as it can: what the client does not take stays on the upstream's side."""
    size, part = 200 * 1000 * 1000, b"x" * 1_000_000
    line_of: list[Line] = []

    def script(_: Request, line: Line) -> None:
        line_of.append(line)
        line.send(
            f"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: {size}\r\n\r\n".encode()
        )
        for _part in range(size // len(part)):
            line.send(part)

    upstream.plays("edge-large", script)
    gateway.post("toll")  # whatever is loaded on first need is there
    before = most = gateway.memory()
    with gateway.connect() as line:
        line.sendall(post(body_for("up/edge-large")))
        answers = Answers(line)
        assert answers.head()[1]["content-length"] == str(size)
        sent = -1
        while sent != line_of[0].sent:  # until nothing moves any more: nobody reads
            sent = line_of[0].sent
            Event().wait(0.2)
            most = max(most, gateway.memory())
        assert line_of[0].sent < size / 2, "the upstream got rid of all of it while nobody read"
        for _ in range(size // len(part)):
            answers.exactly(len(part))
            most = max(most, gateway.memory())
    assert most - before < 40 * MIB, f"{(most - before) // MIB} MiB more for one answer"
    assert gateway.row(model="up/edge-large")["end"] == "completed"


def test_an_upstream_that_closes_its_line_after_each_stream(gateway: Served, upstream: Upstream) -> None:
    """llama.cpp says `keep-alive` and does not mean it: no call may be sent into the closing line."""

    def script(_: Request, line: Line) -> None:
        said = [event("four", finish="stop"), event(usage=USAGE), DONE]
        line.send(EVENTS.replace(b"\r\n\r\n", b"\r\nkeep-alive: timeout=5, max=100\r\n\r\n"), *map(chunk, said), END)
        line.close()

    upstream.plays("edge-closing", script)
    with ThreadPoolExecutor(8) as pool:
        answered = list(pool.map(lambda _: gateway.post("up/edge-closing", stream=True).status_code, range(120)))
    assert answered == [200] * 120
    assert {row["end"] for row in gateway.rows(120, model="up/edge-closing")} == {"completed"}
