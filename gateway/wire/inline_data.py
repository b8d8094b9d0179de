"""Bodies with pictures, sounds and files inside: the same JSON without their bytes.

What a request asks for stands in few of its bytes. A parser copies all of them, three times over. Pure: bytes in, bytes
out; knows no dialect.
"""

_MARK = b";base64,"
LARGE = 64 * 1024
"""Bytes of a body below which nothing is gained."""
_LONG = 4096
"""Bytes of data that are left out."""


def without_data(body: bytes) -> bytes:
    """The JSON text with the data of long `data:` addresses left out: as valid as it was, but for what was in them."""
    if len(body) < LARGE or _MARK not in body:
        return body
    view = memoryview(body)
    kept: list[memoryview] = []
    at = begin = 0
    while (found := body.find(_MARK, at)) >= 0:
        at = found + len(_MARK)
        end = body.find(b'"', at)
        if end - at > _LONG and body.find(b"\\", at, end) < 0:
            kept.append(view[begin:at])
            begin = at = end
    kept.append(view[begin:])
    return b"".join(kept)
