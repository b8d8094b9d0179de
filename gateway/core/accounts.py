"""Accounts: where money is counted, and the text under which a subject is counted there.

A call's frames carry its accounts whole, so their texts are short whatever a client sends.
"""

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import NamedTuple

MOST = 24
"""Accounts of one call, over all of its attempts."""
SUBJECT_MAX = 160
"""Bytes of a subject, in UTF-8."""
_DIGEST = re.compile("~[0-9a-f]{24}")
ACCOUNT_MAX = 512
"""Bytes of an account as JSON: names of 64 characters, every character of a subject escaped."""


class Account(NamedTuple):
    """A budget, one of its subjects, one of its windows. A tuple: a call looks a dozen of them up."""

    budget: str
    subject: str
    window_start_us: int


def places_of(some: Iterable[Account], accounts: Sequence[Account]) -> tuple[int, ...]:
    """Where these are among the accounts of a call."""
    return tuple([accounts.index(account) for account in some])


def short(subject: str) -> str:
    """A subject of `SUBJECT_MAX` bytes at most, without control characters: of a longer one its begin and a digest."""
    if len(subject) * 4 <= SUBJECT_MAX and subject.isprintable():
        return subject
    whole = "".join(one if one.isprintable() else f"%{ord(one):02X}" for one in subject)
    told = whole.encode()
    if len(told) <= SUBJECT_MAX:
        return whole
    digest = blake2b(told, digest_size=12).hexdigest()
    return f"{told[: SUBJECT_MAX - 25].decode(errors='ignore')}~{digest}"


def shortened(subject: str) -> bool:
    """Whether a subject may be what `short` has made of a longer one: then it does not say all that it stands for."""
    size = len(subject.encode(errors="replace"))
    return SUBJECT_MAX - 3 <= size <= SUBJECT_MAX and _DIGEST.fullmatch(subject[-25:]) is not None
