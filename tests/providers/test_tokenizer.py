"""The helper process behind the port `Tokenizer`, with real vocabularies and with helpers that misbehave."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.ports import Count, Tokenizer
from gateway.providers.tokenizer import MOST_BYTES, WORKER, HelperTokenizer, encoding_of, rule_of_thumb
from tests.providers.asking import LOOPS

PATIENT = 30.0
"""Seconds: what is tested here is the count, not the speed of a busy machine."""

TEXT = "Straße, 東京, naïve, and 3.14159."


@pytest.fixture
async def tokenizer() -> AsyncIterator[HelperTokenizer]:
    helper = HelperTokenizer(answer_within=PATIENT, first_answer_within=PATIENT)
    yield helper
    await helper.stop()


def script(source: str) -> tuple[str, ...]:
    """A helper of our own making."""
    return (sys.executable, "-c", source)


async def gone(pid: int) -> None:
    """Wait until the process has ended and was reaped."""
    async with asyncio.timeout(PATIENT):
        while _answers(pid):
            await asyncio.sleep(0.01)


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4o-mini", "o200k_base"),
        ("gpt-4.1-nano", "o200k_base"),
        ("gpt-4.5-preview", "o200k_base"),
        ("openai/gpt-5", "o200k_base"),
        ("o3-mini", "o200k_base"),
        ("claude-sonnet-4", "o200k_base"),
        ("meta-llama/Llama-3-8B", "o200k_base"),
        ("", "o200k_base"),
        ("gpt-4", "cl100k_base"),
        ("openai/gpt-4-turbo-2024-04-09", "cl100k_base"),
        ("GPT-3.5-turbo", "cl100k_base"),
        ("gpt-35-turbo-16k", "cl100k_base"),
        ("ft:gpt-3.5-turbo:acme::1", "cl100k_base"),
        ("text-embedding-3-large", "cl100k_base"),
        ("text-embedding-ada-002", "cl100k_base"),
    ],
)
def test_vocabulary_follows_the_models_name(model: str, encoding: str) -> None:
    assert encoding_of(model) == encoding


@pytest.mark.anyio
async def test_counts_each_text_and_names_the_vocabulary(tokenizer: Tokenizer) -> None:
    """Known fault 9: without usage from the provider, an estimate by a named tokenizer."""
    texts = ["hello world", "", TEXT]
    assert await tokenizer.count(texts, "gpt-4o") == Count((2, 0, 15), "o200k_base")
    assert await tokenizer.count(texts, "gpt-4") == Count((2, 0, 17), "cl100k_base")


@pytest.mark.anyio
async def test_special_tokens_are_counted_as_the_text_they_are(tokenizer: HelperTokenizer) -> None:
    assert await tokenizer.count(["<|endoftext|>"], "gpt-4o") == Count((7,), "o200k_base")


@pytest.mark.anyio
async def test_half_a_character_is_counted(tokenizer: HelperTokenizer) -> None:
    assert await tokenizer.count(["\ud83d tail"], "gpt-4o") == Count((2,), "o200k_base")


@pytest.mark.anyio
async def test_no_texts_ask_nobody(tokenizer: HelperTokenizer) -> None:
    assert await tokenizer.count([], "gpt-4o") == Count((), "o200k_base")
    assert tokenizer.pid is None


@pytest.mark.anyio
async def test_parallel_counts_get_their_own_answers(tokenizer: HelperTokenizer) -> None:
    counts = await asyncio.gather(*(tokenizer.count([" a" * n], "gpt-4o") for n in range(200)))
    assert [count.tokens for count in counts] == [(n,) for n in range(200)]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", LOOPS)
async def test_helper_whose_end_the_event_loop_has_noticed_is_replaced() -> None:
    """uvloop's pipe is then no broken one, but one that must not be touched."""
    tokenizer = HelperTokenizer()
    try:
        exact = await tokenizer.count(["hello world"], "gpt-4o")
        first = tokenizer.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        while tokenizer.pid is not None:
            await asyncio.sleep(0.01)
        for _ in range(20):
            await asyncio.sleep(0.01)  # the loop reads the end of the pipes, and closes them
        assert await tokenizer.count(["hello world"], "gpt-4o") == exact
    finally:
        await tokenizer.stop()


@pytest.mark.anyio
async def test_helper_that_was_killed_is_replaced(tokenizer: HelperTokenizer) -> None:
    await tokenizer.count(["one"], "gpt-4o")
    first = tokenizer.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert await tokenizer.count(["hello world"], "gpt-4o") == Count((2,), "o200k_base")
    assert tokenizer.pid not in (None, first)


@pytest.mark.anyio
async def test_a_cancelled_count_leaves_nothing_for_the_next(tokenizer: HelperTokenizer) -> None:
    """Known fault 1 touches here: a client that hangs up cancels what is being counted for it."""
    await tokenizer.count(["warm"], "gpt-4o")
    slow = asyncio.create_task(tokenizer.count(["a" * 500_000], "gpt-4o"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    assert await tokenizer.count(["hello world"], "gpt-4o") == Count((2,), "o200k_base")


@pytest.mark.anyio
async def test_stop_ends_the_helper_and_a_later_count_starts_one(tokenizer: HelperTokenizer) -> None:
    await tokenizer.count(["one"], "gpt-4o")
    first = tokenizer.pid
    assert first is not None
    await tokenizer.stop()
    await gone(first)
    assert await tokenizer.count(["hello world"], "gpt-4o") == Count((2,), "o200k_base")


@pytest.mark.anyio
async def test_helper_that_ended_of_itself_is_replaced() -> None:
    """An idle helper ends after a while; the next count must not notice."""
    source = (
        "import sys; from gateway.providers.tokenizer_worker import serve; serve(open(0, 'rb', 0), open(1, 'wb'), 0.1)"
    )
    helper = HelperTokenizer(answer_within=PATIENT, first_answer_within=PATIENT, command=script(source))
    assert await helper.count(["hello world"], "gpt-4o") == Count((2,), "o200k_base")
    first = helper.pid
    assert first is not None
    await gone(first)
    assert await helper.count(["hello world"], "gpt-4o") == Count((2,), "o200k_base")
    await helper.stop()


@pytest.mark.parametrize(
    "command",
    [
        script("import time; time.sleep(60)"),
        script("raise SystemExit(1)"),
        script("print('not a frame, but quite a long line'); import time; time.sleep(60)"),
        script(
            "import sys; sys.stdin.buffer.read(4); sys.stdout.buffer.write(bytes([0, 0, 0, 2]) + b'{]'); sys.exit()"
        ),
        ("/nonexistent/program",),
    ],
    ids=["silent", "dead at once", "chatty", "not JSON", "not there"],
)
@pytest.mark.anyio
async def test_without_an_answer_the_rule_of_thumb_is_used_and_named(command: tuple[str, ...]) -> None:
    helper = HelperTokenizer(answer_within=0.3, first_answer_within=0.3, command=command)
    assert await helper.count(["12345678", "東京", ""], "gpt-4o") == Count((2, 2, 0), "bytes/4")
    await helper.stop()


@pytest.mark.anyio
@pytest.mark.timed
async def test_a_helper_that_failed_is_left_alone_for_a_while() -> None:
    """Else every call would wait the whole time limit before its last byte leaves."""
    helper = HelperTokenizer(first_answer_within=0.3, command=script("import time; time.sleep(60)"))
    await helper.count(["1"], "gpt-4o")
    started = time.monotonic()
    counts = [await helper.count(["1"], "gpt-4o") for _ in range(100)]
    assert time.monotonic() - started < 0.3
    assert {count.tokenizer for count in counts} == {"bytes/4"}
    await helper.stop()


@pytest.mark.anyio
async def test_enormous_texts_are_not_sent(tokenizer: HelperTokenizer) -> None:
    assert await tokenizer.count(["a" * (MOST_BYTES + 1)], "gpt-4o") == Count((MOST_BYTES // 4 + 1,), "bytes/4")
    assert tokenizer.pid is None


@pytest.mark.anyio
async def test_a_damaged_vocabulary_is_neither_used_nor_removed_nor_fetched(tmp_path: Path) -> None:
    """tiktoken would delete the file and ask the network for another."""
    folder = tmp_path / "litellm" / "litellm_core_utils" / "tokenizers"
    folder.mkdir(parents=True)
    (tmp_path / "litellm" / "__init__.py").write_text("raise ImportError('nobody imports litellm')")
    damaged = folder / "fb374d419588a4632f3f557e76b4b70aebbca790"
    damaged.write_text("IQ== 0\n")
    source = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from gateway.providers import tokenizer_worker as worker"
    )
    command = script(f"{source}; worker.main()")
    helper = HelperTokenizer(answer_within=PATIENT, first_answer_within=PATIENT, command=command)
    assert await helper.count(["12345678"], "gpt-4o") == Count((2,), "bytes/4")
    assert damaged.read_text() == "IQ== 0\n"
    await helper.stop()


@pytest.mark.anyio
async def test_the_helper_gets_no_keys(tmp_path: Path) -> None:
    """Known fault 75: keys stay out of the environment of other processes."""
    seen = tmp_path / "environment"
    source = f"import os; open({str(seen)!r}, 'w').write(repr(dict(os.environ)))"
    os.environ["SOME_PROVIDERS_API_KEY"] = "sk-secret"
    try:
        await HelperTokenizer(first_answer_within=PATIENT, command=script(source)).count(["one"], "gpt-4o")
    finally:
        del os.environ["SOME_PROVIDERS_API_KEY"]
    assert "PYTHONPATH" in seen.read_text()
    assert "sk-secret" not in seen.read_text()


def test_the_asking_process_loads_neither_vocabulary_nor_litellm() -> None:
    source = (
        "import asyncio, sys\n"
        "from gateway.providers.tokenizer import HelperTokenizer\n"
        "async def main():\n"
        f"    helper = HelperTokenizer(answer_within={PATIENT}, first_answer_within={PATIENT})\n"
        "    print((await helper.count(['hello world'], 'gpt-4o')).tokenizer)\n"
        "    await helper.stop()\n"
        "asyncio.run(main())\n"
        "print({'tiktoken', 'litellm'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["o200k_base", "set()"]


def test_rule_of_thumb_is_four_bytes_rounded_up() -> None:
    assert rule_of_thumb(["", "a", "abcd", "abcde", "東京"]) == Count((0, 1, 1, 2, 2), "bytes/4")


def test_nothing_of_the_working_directory_is_imported() -> None:
    assert "-P" in WORKER
