"""The helper process that counts tokens, so that vocabularies of a hundred megabytes never live in the proxy.

Owns the frames on its pipes and the vocabularies; knows nothing of models, calls and prices. Reads frames from
standard input, answers each on standard output, and ends when nothing came for a while or the input closes.

A frame is a length (4 bytes, big-endian) and that many bytes of JSON:
`{"encoding": "o200k_base", "texts": ["…"]}` is answered by `{"tokens": [12]}` or by `{"error": "…"}`.
"""

import importlib.util
import os
import select
import struct
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

if TYPE_CHECKING:
    import tiktoken

ENCODINGS = ("o200k_base", "cl100k_base")
"""The vocabularies that litellm's package carries and that models of today use."""

LENGTH = struct.Struct(">I")
IDLE_SECONDS = 60.0


def frame(message: dict[str, Any]) -> bytes:
    """A message as it goes over the pipe. Raises `TypeError` on text that is not valid Unicode."""
    payload = orjson.dumps(message)
    return LENGTH.pack(len(payload)) + payload


def answer(request: bytes) -> dict[str, Any]:
    """The answer to one request without its length: counts, or why there are none."""
    try:
        message = orjson.loads(request)
        return {"tokens": _counts(message["encoding"], message["texts"])}
    except Exception as error:  # noqa: BLE001 - whatever went wrong, the asker is told and falls back
        return {"error": f"{type(error).__name__}: {error}"}


def serve(requests: BinaryIO, answers: BinaryIO, idle_seconds: float = IDLE_SECONDS) -> None:
    """Answer until the input ends, breaks, or stays silent for `idle_seconds`. `requests` must be unbuffered."""
    while select.select([requests], [], [], idle_seconds)[0]:
        head = _exactly(requests, LENGTH.size)
        if head is None:
            return
        body = _exactly(requests, LENGTH.unpack(head)[0])
        if body is None:
            return
        answers.write(frame(answer(body)))
        answers.flush()


def stay_offline() -> None:
    """Forbid this process every socket, and the removal of any file.

    tiktoken deletes a vocabulary whose checksum is wrong and fetches it from the network: neither may happen.
    """

    def guard(event: str, _arguments: object) -> None:
        if event.startswith("socket.") or event == "os.remove":
            raise PermissionError(f"the tokenizer does no {event}")

    sys.addaudithook(guard)


def _counts(encoding_name: str, texts: list[str]) -> list[int]:
    encoding = _encoding(encoding_name)
    # `encode_ordinary` takes "<|endoftext|>" for the text that it is, where `encode` would refuse it.
    return [len(encoding.encode_ordinary(text)) for text in texts]


@cache
def _encoding(name: str) -> "tiktoken.Encoding":
    if name not in ENCODINGS:
        raise ValueError(f"no vocabulary for {name!r}")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(_vocabulary_folder())
    import tiktoken  # only here: the proxy imports this module for its frames and must not pay for that one

    return tiktoken.get_encoding(name)


def _vocabulary_folder() -> Path:
    """Where litellm's package keeps the vocabularies; found without importing it."""
    spec = importlib.util.find_spec("litellm")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the package litellm, which carries the vocabularies, is not installed")
    return Path(spec.submodule_search_locations[0]) / "litellm_core_utils" / "tokenizers"


def _exactly(stream: BinaryIO, size: int) -> bytes | None:
    """That many bytes, or None if the stream ends before."""
    parts = bytearray()
    while len(parts) < size:
        part = stream.read(size - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)


def main() -> None:
    stay_offline()
    with (
        suppress(BrokenPipeError),  # whoever asked was killed, and waits for no answer
        open(0, "rb", buffering=0, closefd=False) as requests,
        open(1, "wb", closefd=False) as answers,
    ):
        serve(requests, answers)


if __name__ == "__main__":
    main()
