import io
import os
import threading
import time

import pytest

from gateway.telemetry.lines import LineWriter


def test_lines_come_out_whole_and_in_order() -> None:
    stream = io.BytesIO()
    writer = LineWriter(stream, bytes)
    lines = [f"line {number}\n".encode() for number in range(5000)]
    for line in lines:
        writer.write(line)
    writer.stop()
    assert stream.getvalue() == b"".join(lines)
    assert writer.dropped == 0


def test_lines_of_many_threads_are_not_torn() -> None:
    stream = io.BytesIO()
    writer = LineWriter(stream, bytes)

    def write(name: int) -> None:
        for number in range(500):
            writer.write(f"{name}:{number}\n".encode())

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.stop()
    assert sorted(stream.getvalue().split()) == sorted(f"{n}:{k}".encode() for n in range(4) for k in range(500))


@pytest.mark.timed
def test_a_reader_that_does_not_read_holds_nobody_up() -> None:
    """A full pipe blocks its writer; what cannot wait is counted and given up."""
    reading, writing = os.pipe()
    stream = os.fdopen(writing, "wb")
    writer = LineWriter(stream, bytes, max_lines=1000)
    line = b"x" * 999 + b"\n"
    began = time.monotonic()
    for _ in range(3000):
        writer.write(line)
    assert time.monotonic() - began < 2
    assert writer.dropped > 0

    received = bytearray()

    def read() -> None:
        while chunk := os.read(reading, 65536):
            received.extend(chunk)
            if len(received) + writer.dropped * len(line) >= 3000 * len(line):
                return

    thread = threading.Thread(target=read)
    thread.start()
    thread.join(10)
    writer.stop()
    stream.close()
    os.close(reading)
    assert len(received) % len(line) == 0
    assert len(received) // len(line) + writer.dropped == 3000


def test_a_closed_stream_is_counted_not_raised() -> None:
    stream = io.BytesIO()
    writer = LineWriter(stream, bytes)
    stream.close()
    writer.write(b"one\n")
    writer.write(b"two\n")
    writer.stop()
    assert writer.dropped == 2


def test_a_line_that_cannot_be_made_takes_no_other_with_it() -> None:
    stream = io.BytesIO()
    writer: LineWriter[int] = LineWriter(stream, lambda item: f"{1 // item}\n".encode())
    for item in (1, 0, 1):
        writer.write(item)
    writer.stop()
    assert stream.getvalue() == b"1\n1\n"
    assert writer.dropped == 1


def test_processes_that_share_a_pipe_do_not_tear_each_others_lines() -> None:
    """A pipe takes 4096 bytes at once, not more, and a batch of lines is longer."""
    read, write = os.pipe()
    with os.fdopen(read, "rb") as reader, os.fdopen(write, "wb") as one, os.fdopen(os.dup(write), "wb") as two:
        writers = {b"1": LineWriter(one, bytes), b"2": LineWriter(two, bytes)}
        lines = {name: [b"%b %d %b\n" % (name, n, name * (n * 7 % 900)) for n in range(2000)] for name in writers}
        for of_both in zip(*lines.values(), strict=True):
            for writer, line in zip(writers.values(), of_both, strict=True):
                writer.write(line)
        taken: list[bytes] = []
        taker = threading.Thread(target=lambda: taken.extend(reader), daemon=True)
        taker.start()
        for writer in writers.values():
            writer.stop()
            assert writer.dropped == 0
        one.close()
        two.close()
        taker.join(20)
    assert {name: [line for line in taken if line.startswith(name)] for name in writers} == lines
    assert len(taken) == 4000


def test_a_line_longer_than_a_pipe_takes_is_whole_all_the_same() -> None:
    read, write = os.pipe()
    with os.fdopen(read, "rb") as reader, os.fdopen(write, "wb") as stream:
        writer = LineWriter(stream, bytes)
        for line in (b"a\n", b"b" * 10_000 + b"\n", b"c\n"):
            writer.write(line)
        writer.stop()
        stream.close()
        assert list(reader) == [b"a\n", b"b" * 10_000 + b"\n", b"c\n"]
