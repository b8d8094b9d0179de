"""What is written in one turn leaves at its end, in order, and what must not wait does not."""

import asyncio
from collections.abc import Callable

import pytest

from gateway.net.outbox import AT_ONCE, LINES_AT_ONCE, Outbox
from tests.providers.memory_line import MemoryLine


class Turn:
    """The end of a turn of the event loop, when the test says so."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []

    def __call__(self, flush: Callable[[], None]) -> None:
        self.due.append(flush)

    def end(self) -> None:
        due, self.due = self.due, []
        for flush in due:
            flush()


def test_what_is_written_in_one_turn_leaves_at_its_end_in_order() -> None:
    turn, one, two = Turn(), MemoryLine(), MemoryLine()
    outbox = Outbox(turn)
    outbox.write(one, b"head ")
    outbox.write(two, b"another")
    outbox.write(one, b"body")
    assert (one.written, two.written) == (b"", b"")
    assert outbox.holds(one)
    assert len(turn.due) == 1
    turn.end()
    assert (one.written, two.written) == (b"head body", b"another")
    assert not outbox.holds(one)
    outbox.write(one, b", next turn")
    turn.end()
    assert one.written == b"head body, next turn"


def test_a_large_piece_leaves_at_once_behind_what_waits() -> None:
    turn, line, other = Turn(), MemoryLine(), MemoryLine()
    outbox = Outbox(turn)
    large = b"x" * AT_ONCE
    outbox.write(line, b"head")
    outbox.write(line, large)
    assert line.written == b"head" + large
    outbox.write(other, large)
    assert other.written == large
    turn.end()
    assert line.written == b"head" + large


def test_so_many_lines_wait_for_each_other_and_no_more() -> None:
    turn = Turn()
    outbox = Outbox(turn)
    lines = [MemoryLine() for _ in range(LINES_AT_ONCE)]
    for line in lines:
        outbox.write(line, b"head ")
    outbox.write(lines[-1], b"body")
    assert not any(line.written for line in lines)
    one_more = MemoryLine()
    outbox.write(one_more, b"later")
    assert [line.written for line in lines] == [b"head "] * (LINES_AT_ONCE - 1) + [b"head body"]
    assert one_more.written == b""
    turn.end()
    assert one_more.written == b"later"


def test_a_line_can_be_written_out_before_its_turn_is_over() -> None:
    turn, line, other = Turn(), MemoryLine(), MemoryLine()
    outbox = Outbox(turn)
    outbox.write(line, b"last words")
    outbox.write(other, b"later")
    outbox.flush(line)
    outbox.flush(line)
    assert (line.written, other.written) == (b"last words", b"")


def test_nothing_is_written_to_a_line_that_was_closed_meanwhile() -> None:
    turn, line, other = Turn(), MemoryLine(), MemoryLine()
    outbox = Outbox(turn)
    outbox.write(line, b"nobody hears it")
    outbox.write(other, b"heard")
    line.abort()
    turn.end()
    assert (line.written, other.written) == (b"", b"heard")


@pytest.mark.anyio
async def test_on_an_event_loop_the_turn_ends_by_itself() -> None:
    line = MemoryLine()
    Outbox().write(line, b"soon")
    assert line.written == b""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert line.written == b"soon"
