"""One segment, frame by frame."""

from pathlib import Path

import pytest

from gateway.storage.frames import FRAME_MAX, encode_closing
from gateway.storage.segment_walk import WINDOW, begun, walk, written
from tests.storage.samples import a_record


def several_windows() -> list[bytes]:
    frames: list[bytes] = []
    while sum(map(len, frames)) < 2.5 * WINDOW:
        frames.append(encode_closing(a_record(f"c{len(frames)}", attempts=1 + len(frames) % 3), FRAME_MAX))
    return frames


def test_frames_cut_by_the_window_are_read_whole_and_once(tmp_path: Path) -> None:
    path = tmp_path / "1.seg"
    frames = several_windows()
    path.write_bytes(b"".join(frames) + bytes(10_000))
    for finished in (True, False):
        steps = [step for step in walk(path, 0, finished) if step.frame]
        assert len(steps) == len(frames)
        assert not any(step.damaged for step in steps)
        assert steps[-1].end == sum(map(len, frames))


@pytest.mark.parametrize("hole", [WINDOW // 2, WINDOW, 2 * WINDOW])
def test_a_hole_of_any_size_is_one_damage(tmp_path: Path, hole: int) -> None:
    """After a loss of power, pages that had not reached the disk are zero in the middle of a file."""
    path = tmp_path / "1.seg"
    frames = several_windows()
    data = bytearray(b"".join(frames))
    data[1000 : 1000 + hole] = bytes(hole)
    path.write_bytes(data + bytes(10_000))
    steps = list(walk(path, 0, finished=True))
    assert [step.damaged for step in steps if step.frame].count(True) == 1
    undamaged, position = 0, 0
    for frame in frames:
        undamaged += position + len(frame) <= 1000 or position >= 1000 + hole
        position += len(frame)
    assert len([step for step in steps if step.frame]) == undamaged
    assert steps[-1] == (len(data) + 10_000, False, None)


def test_what_is_still_written_ends_behind_its_last_whole_frame(tmp_path: Path) -> None:
    path = tmp_path / "1.seg"
    frame = encode_closing(a_record(), FRAME_MAX)
    path.write_bytes(frame + frame[:-1] + bytes(10_000))
    assert [step.end for step in walk(path, 0, finished=False)] == [len(frame)]
    assert list(walk(path, len(frame), finished=False)) == []
    path.write_bytes(frame + frame[:-1] + b"?" + frame + bytes(10_000))
    assert [(step.end, step.damaged) for step in walk(path, len(frame), finished=False)] == [(3 * len(frame), True)]


@pytest.mark.parametrize("frames", [0, 1, 7, 800])
def test_how_far_a_segment_is_written(tmp_path: Path, frames: int) -> None:
    path = tmp_path / "1.seg"
    data = encode_closing(a_record(), FRAME_MAX) * frames
    path.write_bytes(data + bytes(1_000_003))
    assert begun(path) == (frames > 0)
    assert written(path) == len(data)
    path.write_bytes(data)
    assert written(path) == len(data)


def test_a_file_that_is_gone_is_empty(tmp_path: Path) -> None:
    """Between listing and reading, its writer has given a spare segment up."""
    path = tmp_path / "1.seg"
    assert not begun(path)
    assert written(path) == 0
    assert list(walk(path, 0, finished=False)) == []
    assert [step.frame for step in walk(path, 0, finished=True)] == [None]
