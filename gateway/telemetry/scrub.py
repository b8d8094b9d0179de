"""What may never reach a log line: keys, tokens, authorization headers.

Two nets, since text that others wrote (an upstream's error, an exception) may carry anything: the secrets this process
knows, and whatever looks like a key. `Secret` is the third: it has no text to leak.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from gateway.core.keys import Secret

HIDDEN = "[hidden]"

_LOOKS_LIKE_A_KEY = (
    r"\btka?-[\w-]{8,}",
    r"\b(?:sk|pk|rk|xai)-[\w-]{8,}",
    r"\b(?:gsk|hf|AIza)[_A-Z][\w-]{16,}",
    r"(?i:\b(?:bearer|basic)\s+[\w.~+/=-]{8,})",
    r"(?i:[?&](?:key|api[_-]?key|access_token)=[^&\s\"']+)",
    r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)",
)
# A shorter one would blank out half of the log, and guards nothing.
_MIN_SECRET = 6
_MAX_NAME = 200
_MAX_NAMES = 2048


class Scrubber:
    """Replaces secrets in text."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        known = sorted({s.reveal() for s in secrets if len(s.reveal()) >= _MIN_SECRET}, key=len, reverse=True)
        self._pattern = re.compile("|".join([*map(re.escape, known), *_LOOKS_LIKE_A_KEY]))
        self._name = lru_cache(_MAX_NAMES)(self.text)

    def text(self, text: str) -> str:
        """The text with every secret in it replaced."""
        return self._pattern.sub(HIDDEN, text)

    def name(self, text: str) -> str:
        """As `text`, for model and target names: a few of them come back all the time, and none needs to be longer."""
        return self._name(text) if len(text) <= _MAX_NAME else self.text(text)[:_MAX_NAME]
