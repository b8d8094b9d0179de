"""Counts tokens where the provider did not, in a helper process; the port `Tokenizer`.

Owns the helper's life (started on first need, replaced if it dies or hangs) and the choice of a vocabulary by model
name. Knows nothing of usage and prices. Never fails: without an answer in time it counts four bytes as a token and
says so, `bytes/4`.
"""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Sequence

import orjson

from gateway.ports import Count
from gateway.providers.tokenizer_worker import LENGTH, frame

RULE_OF_THUMB = "bytes/4"

WORKER = (sys.executable, "-P", "-m", "gateway.providers.tokenizer_worker")
"""-P: nothing in the working directory can pose as one of the modules."""

MOST_BYTES = 4 * 1024 * 1024
"""Texts beyond this are not counted exactly: that would take seconds, and a second copy of them."""

REST_SECONDS = 5.0
"""How long the helper is left alone after it failed: each try may hold its call up for as long as a count may take."""

_OLD_VOCABULARY = ("gpt-3.5", "gpt-35", "text-embedding-3", "text-embedding-ada", "davinci-002", "babbage-002")

_log = logging.getLogger(__name__)


class WorkerFault(Exception):
    """The helper could not count, and said why."""


def encoding_of(model: str) -> str:
    """The vocabulary of a model, by its name with or without provider; `o200k_base` for whatever is not OpenAI's."""
    name = model.rpartition("/")[2].removeprefix("ft:").lower()
    if name == "gpt-4" or name.startswith(("gpt-4-", "gpt-4:", *_OLD_VOCABULARY)):
        return "cl100k_base"
    return "o200k_base"


def rule_of_thumb(texts: Sequence[str]) -> Count:
    """Four bytes of UTF-8 to a token, rounded up."""
    return Count(tuple((_size(text) + 3) // 4 for text in texts), RULE_OF_THUMB)


class HelperTokenizer:
    """The port, by one helper process that answers one request after the other.

    `answer_within` seconds are allowed for a count, waiting for its turn included; `first_answer_within` while the
    helper still has to start or to load that vocabulary. `command` starts the helper.
    """

    def __init__(
        self,
        *,
        answer_within: float = 2.0,
        first_answer_within: float = 5.0,
        command: Sequence[str] = WORKER,
    ) -> None:
        self._answer_within = answer_within
        self._first_answer_within = first_answer_within
        self._command = tuple(command)
        self._process: asyncio.subprocess.Process | None = None
        self._loaded: set[str] = set()
        self._turn = asyncio.Lock()
        self._rest_until = 0.0

    @property
    def pid(self) -> int | None:
        """The helper's process id; null if none runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def count(self, texts: Sequence[str], model: str) -> Count:
        """Tokens of each text, and the vocabulary's name; `bytes/4` if the helper cannot tell in time."""
        encoding = encoding_of(model)
        if not texts:
            return Count((), encoding)
        if time.monotonic() < self._rest_until or sum(map(_size, texts)) > MOST_BYTES:
            return rule_of_thumb(texts)
        request = frame({"encoding": encoding, "texts": [_valid(text) for text in texts]})
        limit = self._answer_within if encoding in self._loaded else self._first_answer_within
        try:
            async with asyncio.timeout(limit), self._turn:
                tokens = await self._ask(request)
        except (OSError, EOFError, ValueError, WorkerFault) as fault:  # a timeout is an OSError
            self._rest_until = time.monotonic() + REST_SECONDS
            _log.warning("no exact token count, %s is used: %s", RULE_OF_THUMB, str(fault) or type(fault).__name__)
            return rule_of_thumb(texts)
        self._loaded.add(encoding)
        return Count(tokens, encoding)

    async def stop(self) -> None:
        """End the helper, if one runs."""
        async with self._turn:
            await self._end()

    async def _ask(self, request: bytes) -> tuple[int, ...]:
        """One request, one answer. A helper that was gone already (idle, killed) is replaced once."""
        old = self._process
        try:
            return await self._exchange(request)
        except (ConnectionError, EOFError):
            if old is None:
                raise
            return await self._exchange(request)

    async def _exchange(self, request: bytes) -> tuple[int, ...]:
        process = self._process or await self._start()
        assert process.stdin is not None and process.stdout is not None  # noqa: PT018 - both are pipes, see _start
        try:
            if process.stdin.is_closing():  # it has ended, and the loop knows: uvloop's pipe would raise RuntimeError
                raise BrokenPipeError("the helper has ended")
            process.stdin.write(request)
            await process.stdin.drain()
            head = await process.stdout.readexactly(LENGTH.size)
            reply = orjson.loads(await process.stdout.readexactly(LENGTH.unpack(head)[0]))
        except BaseException:
            # Whatever broke in (a timeout, a cancelled call, an end): an answer read by halves or left behind would
            # be taken for the next one's.
            await self._end()
            raise
        if "tokens" not in reply:
            raise WorkerFault(reply["error"])
        return tuple(reply["tokens"])

    async def _start(self) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=_environment(),
            start_new_session=True,  # a Ctrl-C in the terminal is for the server; its end closes the helper's input
        )
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        self._loaded.clear()
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _valid(text: str) -> str:
    """The text without half characters, which JSON allows in escapes and no encoder takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _environment() -> dict[str, str]:
    """What the helper needs to find its modules, and nothing else: no key of any provider goes there."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "LANG", "LC_ALL")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    return {**found, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
