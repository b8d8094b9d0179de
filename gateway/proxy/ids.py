"""Call ids: UUID version 7 (RFC 9562), so that rows sort by arrival and an index grows at its end."""

import os

_AT_ONCE = 128
_BYTES = 10
_VARIANT = {digit: "89ab"[index % 4] for index, digit in enumerate("0123456789abcdef")}

_stock: list[str] = []
"""What follows the time in the next ids: asking the system for chance each time would take longer than all the rest."""
os.register_at_fork(after_in_child=_stock.clear)  # two processes must not draw from the same


def new_id(now_us: int) -> str:
    """A fresh id for a call that arrived at `now_us` (microseconds since 1970 UTC)."""
    if not _stock:
        chance = os.urandom(_AT_ONCE * _BYTES).hex()
        _stock.extend(_rest(chance[start : start + 2 * _BYTES]) for start in range(0, len(chance), 2 * _BYTES))
    time = f"{now_us // 1000 & 0xFFFFFFFFFFFF:012x}"
    return f"{time[:8]}-{time[8:]}{_stock.pop()}"


def _rest(digits: str) -> str:
    return f"-7{digits[:3]}-{_VARIANT[digits[3]]}{digits[4:7]}-{digits[7:19]}"
