"""A stream longer than what was asked for, told from one that only looks so (promises §2).

A stream of exactly its limit is never cut, in whatever language and by whatever tokenizer: it is cut only when a
tokenizer counts too many and the stream itself shows as many, in pieces or in characters. A piece has a token at least,
and no language has as many characters in a token, on average, as are demanded here.
"""

from collections.abc import Sequence

SLACK = 64
"""Tokens beyond a quarter more than the bound, for what formats add."""
_CHARACTERS = 8
"""Of a token, blanks not counted: more than any language has on average."""


class Guard:
    """Watches how much a stream has brought."""

    __slots__ = ("_bytes", "_next_bytes", "_next_pieces", "bound", "most")

    def __init__(self, bound: int) -> None:
        """`bound`: tokens of all answers together."""
        self.bound = bound
        self.most = bound + bound // 4 + SLACK
        self._bytes = 0
        self._next_pieces = self.most
        self._next_bytes = self.most * _CHARACTERS

    def may_pass(self, size: int, pieces: int) -> bool:
        """Whether it is time for a closer look, with so many more bytes and so many pieces of text in all."""
        self._bytes += size
        if pieces <= self._next_pieces and self._bytes <= self._next_bytes:
            return False
        self._next_pieces = max(self._next_pieces, pieces + pieces // 4)
        self._next_bytes = self._bytes + self._bytes // 2
        return True

    def look_again(self) -> None:
        """The provider has stated what it used so far."""
        self._next_bytes = 0

    def looks_long(self, pieces: int, texts: Sequence[str]) -> bool:
        """Whether the stream itself shows more than it may have."""
        if pieces > self.most:
            return True
        characters = sum(len(text) - text.count(" ") - text.count("\n") for text in texts)
        return characters > self.most * _CHARACTERS

    def passed_by(self, tokens: int) -> bool:
        return tokens > self.most
