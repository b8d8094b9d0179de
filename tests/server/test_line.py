"""The way out of a connection."""

import asyncio

import pytest

from gateway.net.outbox import Outbox
from gateway.server.line import GATHERED, Line
from tests.server.talk import MemoryLine


class Later:
    """An outbox's end of a turn, when the test says so."""

    def __init__(self) -> None:
        self.line = MemoryLine()
        self.outbox = Outbox(lambda _: None)
        self.out = Line(self.line, self.outbox)


def test_what_is_written_in_one_turn_leaves_together() -> None:
    later = Later()
    later.out.write(b"a")
    later.out.write(b"b")
    assert later.line.written == b""
    later.outbox.flush_all()
    assert later.line.written == b"ab"


def test_much_leaves_before_the_turn_is_over() -> None:
    later = Later()
    for _ in range(GATHERED // 1000 + 1):
        later.out.write(b"x" * 1000)
    assert len(later.line.written) > GATHERED


@pytest.mark.anyio
async def test_room_is_waited_for() -> None:
    later = Later()
    later.out.choked = True
    waiting = [asyncio.ensure_future(later.out.room()) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(each.done() for each in waiting)
    later.out.release()
    await asyncio.wait_for(asyncio.gather(*waiting), 1)
    await asyncio.wait_for(later.out.room(), 1)


def test_a_line_stalls_when_nothing_of_what_waits_is_taken() -> None:
    later = Later()
    assert not later.out.stalled(0.0, 100)
    assert not later.out.stalled(100.0, 100), "nothing waits"
    later.out.write(b"x" * 10)
    for now, unsent, stalled in ((110, 10, False), (199, 10, False), (200, 10, True), (201, 9, False), (301, 9, True)):
        later.line.unsent = unsent
        assert later.out.stalled(float(now), 100) == stalled, f"at {now} s"
    later.line.unsent = 0
    assert not later.out.stalled(302.0, 100)


def test_bytes_that_come_to_those_that_wait_are_no_progress() -> None:
    later = Later()
    later.out.write(b"x" * 10)
    later.line.unsent = 10
    assert not later.out.stalled(0.0, 100)
    later.out.write(b"x" * 5)
    later.line.unsent = 15
    assert later.out.stalled(100.0, 100)


def test_bytes_that_are_taken_while_others_come_are_progress() -> None:
    later = Later()
    later.out.write(b"x" * 10)
    later.line.unsent = 10
    assert not later.out.stalled(0.0, 100)
    later.out.write(b"x" * 5)
    later.line.unsent = 10
    assert not later.out.stalled(100.0, 100)


def test_a_client_is_held_back_once_and_let_go_once() -> None:
    later = Later()
    later.out.hold_back()
    later.out.hold_back()
    assert not later.line.is_reading()
    assert later.out.paused
    later.out.take_more()
    later.out.take_more()
    assert later.line.is_reading()


def test_the_end_comes_after_all_that_was_written() -> None:
    later = Later()
    later.out.hold_back()
    later.out.write(b"last words")
    later.out.end()
    assert later.line.written == b"last words"
    assert later.line.ended
    assert later.line.is_reading(), "it would not hear that the client has closed"


@pytest.mark.parametrize("ended", ["close", "abort"])
def test_a_line_that_is_gone_is_left_alone(ended: str) -> None:
    later = Later()
    later.out.write(b"lost")
    getattr(later.line, ended)()
    later.out.end()
    later.out.close()
    later.out.hold_back()
    assert later.line.written == b""
    assert later.out.unsent == 0
