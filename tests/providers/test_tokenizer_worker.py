"""Frames and answers of the process that counts."""

import io
import os
import socket
import subprocess
import sys

import orjson
import pytest

from gateway.providers.tokenizer_worker import LENGTH, answer, frame, serve


def test_answers_with_one_count_for_each_text() -> None:
    request = orjson.dumps({"encoding": "cl100k_base", "texts": ["hello world", "<|endoftext|>", ""]})
    assert answer(request) == {"tokens": [2, 7, 0]}


@pytest.mark.parametrize(
    "request_",
    [b"", b"{", b"[]", b"{}", b'{"encoding": "o200k_base"}', b'{"encoding": "o200k_base", "texts": [1]}'],
)
def test_a_request_it_does_not_understand_is_answered(request_: bytes) -> None:
    assert set(answer(request_)) == {"error"}


def test_vocabularies_that_are_not_at_hand_are_refused_by_name() -> None:
    """r50k_base is known to tiktoken, which would fetch it."""
    request = orjson.dumps({"encoding": "r50k_base", "texts": ["x"]})
    assert answer(request) == {"error": "ValueError: no vocabulary for 'r50k_base'"}


def served(written: bytes, idle_seconds: float = 30.0, close: bool = True) -> list[dict[str, object]]:
    """What comes back for these bytes; with `close` the input ends after them."""
    readable, writable = os.pipe()
    os.write(writable, written)
    if close:
        os.close(writable)
    answers = io.BytesIO()
    with open(readable, "rb", buffering=0) as requests:
        serve(requests, answers, idle_seconds)
    if not close:
        os.close(writable)
    return list(unframed(answers.getvalue()))


def unframed(data: bytes) -> list[dict[str, object]]:
    messages = []
    while data:
        (length,) = LENGTH.unpack(data[: LENGTH.size])
        messages.append(orjson.loads(data[LENGTH.size : LENGTH.size + length]))
        data = data[LENGTH.size + length :]
    return messages


REQUEST = frame({"encoding": "cl100k_base", "texts": ["hello world"]})


def test_serves_frame_after_frame_until_the_input_ends() -> None:
    assert served(REQUEST * 3) == [{"tokens": [2]}] * 3


@pytest.mark.parametrize("cut", [1, LENGTH.size, LENGTH.size + 5, len(REQUEST) - 1])
def test_a_torn_frame_ends_it(cut: int) -> None:
    assert served(REQUEST + REQUEST[:cut]) == [{"tokens": [2]}]


def test_silence_ends_it() -> None:
    assert served(REQUEST, idle_seconds=0.01, close=False) == [{"tokens": [2]}]


def test_whoever_asked_and_was_killed_is_no_error() -> None:
    command = [sys.executable, "-m", "gateway.providers.tokenizer_worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        worker.stdout.close()
        _, said = worker.communicate(REQUEST)
    assert (worker.returncode, said) == (0, b"")


def test_it_stays_offline_and_removes_nothing() -> None:
    """Against a server that does listen, so that only the guard can be the reason."""
    source = (
        "import os, socket, sys\n"
        "from gateway.providers.tokenizer_worker import stay_offline\n"
        "stay_offline()\n"
        "for act in (lambda: socket.create_connection(('127.0.0.1', int(sys.argv[1]))), lambda: os.remove('x')):\n"
        "    try:\n"
        "        act()\n"
        "    except PermissionError as error:\n"
        "        print(error)\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = str(listening.getsockname()[1])
        done = subprocess.run([sys.executable, "-c", source, port], capture_output=True, text=True, check=True)
    assert [line.rpartition(" ")[2] for line in done.stdout.splitlines()] == ["socket.getaddrinfo", "os.remove"]
