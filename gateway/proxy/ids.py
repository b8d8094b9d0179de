"""Call ids: UUID version 7 (RFC 9562), so that rows sort by arrival and an index grows at its end."""

import os


def new_id(now_us: int) -> str:
    """A fresh id for a call that arrived at `now_us` (microseconds since 1970 UTC)."""
    value = (now_us // 1000 & 0xFFFFFFFFFFFF) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
