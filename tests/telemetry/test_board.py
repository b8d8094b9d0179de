"""The board: the last whole thing that each worker put up, whatever becomes of it."""

import os
import subprocess
import sys
import threading

from gateway.telemetry.board import Board


def test_what_was_put_last_is_there_and_nothing_before_the_first() -> None:
    board = Board(2)
    assert (board.places, board.get(0), board.get(1)) == (2, None, None)
    for said in (b"a", b"much longer than before", b"", b"short"):
        board.put(0, said)
        assert board.get(0) == said
    assert board.get(1) is None


def test_a_writing_that_was_cut_short_leaves_the_one_before() -> None:
    """As by a kill in the middle of it."""
    board = Board(1)
    board.put(0, b"first")
    board.put(0, b"second")
    older, newer = sorted((file for pair in board._places for file in pair), key=lambda file: os.pread(file, 8, 0))
    os.pwrite(newer, b"\xff\xff", 24)
    assert board.get(0) == b"first"
    board.put(0, b"third")
    assert board.get(0) == b"third"
    os.ftruncate(older, 3)
    os.ftruncate(newer, 3)
    assert board.get(0) is None


def test_readers_see_whole_writings_that_never_go_back() -> None:
    board, last = Board(1), 3000
    seen: list[int] = []

    def read() -> None:
        while not seen or seen[-1] < last:
            said = board.get(0)
            if said is not None:
                number, _, rest = said.partition(b" ")
                assert rest == number * 50
                seen.append(int(number))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    for number in range(last + 1):
        board.put(0, b"%d %b" % (number, b"%d" % number * 50))
    reader.join(20)
    assert seen[-1] == last
    assert seen == sorted(seen)


FORKS = """
import os
from gateway.telemetry.board import Board
board = Board(2)
board.put(0, b"parent")
if os.fork() == 0:
    assert board.get(0) == b"parent"
    board.put(1, b"child")
    os._exit(0)
assert os.wait()[1] == 0
print(board.get(1).decode())
"""


def test_it_is_shared_by_processes_that_were_forked() -> None:
    told = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=20, check=True)
    assert told.stdout == "child\n"
