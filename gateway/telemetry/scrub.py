"""What may never reach a log line: keys, tokens, authorization headers.

Three nets, since text that others wrote (an upstream's error, an exception) may carry anything: fields with a telling
name, the secrets this process knows, and whatever looks like a key. `Secret` is the fourth: it has no text to leak.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from gateway.core.keys import Secret

HIDDEN = "[hidden]"

_TELLING = frozenset(
    (
        *("authorization", "proxy-authorization", "cookie", "set-cookie"),
        *("x-api-key", "x-goog-api-key", "api-key", "api_key", "apikey", "client_key"),
        *("secret", "password", "token", "admin_token", "access_token"),
    )
)
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
    """Replaces secrets in text and in the values of a log event."""

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

    def value(self, name: str, value: object) -> object:
        """A value of a log event, by the name it is logged under; mappings and lists are walked."""
        if name.lower() in _TELLING:
            return HIDDEN
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bytes):
            return self.text(value.decode("utf-8", "backslashreplace"))
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(str(key), item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value("", item) for item in value]
        return value if value is None or isinstance(value, bool | int | float) else self.text(str(value))
