"""Raw answers of HTTP/1.1 and what a careful reader makes of each: sound, ambiguous, broken off, and too long."""

from dataclasses import dataclass

OK = "HTTP/1.1 200 OK"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
NEXT = b"HTTP/1.1 201 Created\r\ncontent-length: 4\r\n\r\nnext"


def head_of(text: str) -> bytes:
    """Lines from text with `|` between them."""
    return ("\r\n".join(text.split("|")) + "\r\n\r\n").encode("latin-1")


@dataclass(frozen=True)
class Case:
    """Raw bytes and what a careful reader makes of them: a body, or none (`None`: refused or broken off)."""

    raw: bytes
    status: int | None
    body: bytes | None
    reusable: bool
    strange: bool = False
    """The standard library reads it in another way."""


SOUND = {
    "length": Case(head_of(f"{OK}|content-length: 5") + b"hello", 200, b"hello", True),
    "empty": Case(head_of(f"{OK}|content-length: 0"), 200, b"", True),
    "chunked": Case(CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", 200, b"hello", True),
    "chunked and empty": Case(CHUNKED + b"0\r\n\r\n", 200, b"", True),
    "chunk sizes in capitals and with zeros": Case(
        CHUNKED + b"000A\r\n0123456789\r\n0\r\n\r\n", 200, b"0123456789", True
    ),
    "chunk extension": Case(CHUNKED + b'5;a=b;c="d"\r\nhello\r\n0;e\r\n\r\n', 200, b"hello", True),
    "trailers": Case(CHUNKED + b"5\r\nhello\r\n0\r\nx-cost: 1\r\n\r\n", 200, b"hello", True),
    "chunked in capitals": Case(head_of(f"{OK}|Transfer-Encoding: CHUNKED") + b"1\r\nx\r\n0\r\n\r\n", 200, b"x", True),
    "to the end of the line": Case(head_of(OK) + b"hello", 200, b"hello", False),
    "HTTP/1.0 to the end of the line": Case(head_of("HTTP/1.0 200 OK") + b"hello", 200, b"hello", False),
    "HTTP/1.0 with a length": Case(head_of("HTTP/1.0 200 OK|content-length: 5") + b"hello", 200, b"hello", False),
    "HTTP/1.0 that would be kept": Case(
        head_of("HTTP/1.0 200 OK|connection: keep-alive|content-length: 5") + b"hello", 200, b"hello", False
    ),
    "Connection: close": Case(head_of(f"{OK}|connection: close|content-length: 5") + b"hello", 200, b"hello", False),
    "Connection: close in a list": Case(
        head_of(f"{OK}|Connection: x-hop, Close|content-length: 1") + b"x", 200, b"x", False
    ),
    "no content": Case(head_of("HTTP/1.1 204 No Content"), 204, b"", True),
    "not modified": Case(head_of("HTTP/1.1 304 Not Modified|etag: x"), 304, b"", True),
    "continue first": Case(
        head_of("HTTP/1.1 100 Continue") + head_of(f"{OK}|content-length: 2") + b"hi", 200, b"hi", True
    ),
    "continue twice": Case(
        head_of("HTTP/1.1 100 Continue") * 2 + head_of(f"{OK}|content-length: 2") + b"hi", 200, b"hi", True
    ),
    "early hints first": Case(
        head_of("HTTP/1.1 103 Early Hints|link: </a>|content-length: 7") + head_of(f"{OK}|content-length: 2") + b"hi",
        200,
        b"hi",
        True,
        strange=True,  # takes the hints for the answer
    ),
    "a hint that is framed before an answer that is not": Case(
        head_of("HTTP/1.1 103 Early Hints|content-length: 7") + head_of(OK) + b"hello",
        200,
        b"hello",
        False,
        strange=True,
    ),
    "no reason phrase": Case(head_of("HTTP/1.1 200|content-length: 2") + b"hi", 200, b"hi", True),
    "a reason in Latin-1": Case(head_of("HTTP/1.1 200 Grün|content-length: 2") + b"hi", 200, b"hi", True),
    "empty lines first": Case(b"\r\n\r\n" + head_of(f"{OK}|content-length: 2") + b"hi", 200, b"hi", True, strange=True),
    "a redirect": Case(head_of("HTTP/1.1 307 T|location: http://a/|content-length: 0"), 307, b"", True),
    "a useless upgrade": Case(
        head_of(f"{OK}|upgrade: h2c|connection: upgrade|content-length: 2") + b"hi", 200, b"hi", True
    ),
    "field values with spaces around": Case(head_of(f"{OK}|content-length:   2  ") + b"hi", 200, b"hi", True),
    "an error with a body": Case(head_of("HTTP/1.1 429 Too Many|content-length: 2") + b"no", 429, b"no", True),
}
# What a lying or broken server, or somebody between, sends to make two readers disagree (RFC 9112 §6, §11).
SMUGGLED = {
    "length and chunked": Case(
        head_of(f"{OK}|content-length: 30|transfer-encoding: chunked") + b"1\r\nx\r\n0\r\n\r\n" + NEXT,
        None,
        None,
        False,
    ),
    "chunked and length": Case(
        head_of(f"{OK}|transfer-encoding: chunked|content-length: 30") + b"1\r\nx\r\n0\r\n\r\n" + NEXT,
        None,
        None,
        False,
    ),
    "two lengths": Case(head_of(f"{OK}|content-length: 2|content-length: 60") + b"hi" + NEXT, None, None, False),
    "the same length twice": Case(head_of(f"{OK}|content-length: 2|content-length: 2") + b"hi", None, None, False),
    "a list of lengths": Case(head_of(f"{OK}|content-length: 2, 60") + b"hi" + NEXT, None, None, False),
    "a length with a sign": Case(head_of(f"{OK}|content-length: +2") + b"hi", None, None, False),
    "a negative length": Case(head_of(f"{OK}|content-length: -1") + b"hi", None, None, False),
    "a length in hexadecimal": Case(head_of(f"{OK}|content-length: 0x2") + b"hi", None, None, False),
    "no length at all in the field": Case(head_of(f"{OK}|content-length:") + b"hi", None, None, False),
    "a length beyond 64 bits": Case(head_of(f"{OK}|content-length: 18446744073709551618") + b"hi", None, None, False),
    "an unknown coding": Case(head_of(f"{OK}|transfer-encoding: xchunked") + b"0\r\n\r\n", None, None, False),
    "identity": Case(head_of(f"{OK}|transfer-encoding: identity") + b"hi", None, None, False),
    "gzip below chunked": Case(head_of(f"{OK}|transfer-encoding: gzip, chunked") + b"0\r\n\r\n", None, None, False),
    "chunked below gzip": Case(head_of(f"{OK}|transfer-encoding: chunked, gzip") + b"0\r\n\r\n", None, None, False),
    "chunked twice": Case(
        head_of(f"{OK}|transfer-encoding: chunked|transfer-encoding: chunked") + b"0\r\n\r\n", None, None, False
    ),
    "a vertical tab before chunked": Case(
        head_of(f"{OK}|transfer-encoding: \x0bchunked") + b"0\r\n\r\n", None, None, False
    ),
    "a space before the colon": Case(head_of(f"{OK}|content-length : 2") + b"hi", None, None, False),
    "a folded field": Case(head_of(f"{OK}|x: a| content-length: 60|content-length: 2") + b"hi", None, None, False),
    "bare line feeds": Case(b"HTTP/1.1 200 OK\ncontent-length: 2\n\nhi", None, None, False),
    "one bare line feed": Case(head_of(f"{OK}|x: y\ncontent-length: 60|content-length: 2") + b"hi", None, None, False),
    "a bare carriage return": Case(
        head_of(f"{OK}|x: y\rcontent-length: 60|content-length: 2") + b"hi", None, None, False
    ),
    "a null byte": Case(head_of(f"{OK}|x: a\0b|content-length: 2") + b"hi", None, None, False),
    "a field without a name": Case(head_of(f"{OK}|: a|content-length: 2") + b"hi", None, None, False),
    "a field without a colon": Case(head_of(f"{OK}|hello|content-length: 2") + b"hi", None, None, False),
    "a chunk size that is none": Case(CHUNKED + b"zz\r\nhi\r\n0\r\n\r\n", 200, None, False),
    "a negative chunk size": Case(CHUNKED + b"-2\r\nhi\r\n0\r\n\r\n", 200, None, False),
    "a chunk size with a prefix": Case(CHUNKED + b"0x2\r\nhi\r\n0\r\n\r\n", 200, None, False),
    "a chunk size with a space": Case(CHUNKED + b"2 \r\nhi\r\n0\r\n\r\n", 200, None, False),
    "a chunk size beyond 64 bits": Case(CHUNKED + b"10000000000000002\r\nhi\r\n0\r\n\r\n", 200, None, False),
    "a chunk longer than it says": Case(CHUNKED + b"2\r\nhixx\r\n0\r\n\r\n", 200, None, False),
    "a chunk without an end": Case(CHUNKED + b"2\r\nhi0\r\n\r\n", 200, None, False),
    "chunks with bare line feeds": Case(CHUNKED + b"2\nhi\n0\n\n", 200, None, False),
    "a line feed in a chunk extension": Case(CHUNKED + b"2;a\nb\r\nhi\r\n0\r\n\r\n", 200, None, False),
    "a length among the trailers": Case(CHUNKED + b"2\r\nhi\r\n0\r\ncontent-length: 60\r\n\r\n", 200, None, False),
    "switching protocols": Case(
        head_of("HTTP/1.1 101 Switching Protocols|upgrade: x|connection: upgrade") + b"binary", None, None, False
    ),
    "switching without saying to what": Case(
        head_of("HTTP/1.1 101 Switching Protocols") + head_of(f"{OK}|content-length: 0"), None, None, False
    ),
    "a hint with a body": Case(
        head_of("HTTP/1.1 103 Early Hints|content-length: 5") + b"hello" + NEXT, None, None, False
    ),
    "status 000": Case(head_of("HTTP/1.1 000 None|content-length: 0"), None, None, False),
    "status 99": Case(head_of("HTTP/1.1 99 Low|content-length: 0"), None, None, False),
    "status 999": Case(head_of("HTTP/1.1 999 High|content-length: 0"), None, None, False),
    "status 2000": Case(head_of("HTTP/1.1 2000 Long|content-length: 0"), None, None, False),
    "a status that runs into its reason": Case(head_of("HTTP/1.1 200OK|content-length: 0"), None, None, False),
    "HTTP/2.0": Case(head_of("HTTP/2.0 200 OK|content-length: 0"), None, None, False),
    "HTTP/0.9": Case(head_of("HTTP/0.9 200 OK|content-length: 0"), None, None, False),
    "HTTP/1.2": Case(head_of("HTTP/1.2 200 OK|content-length: 0"), None, None, False),
    "a space before all": Case(b" " + head_of(f"{OK}|content-length: 0"), None, None, False),
    "a web page": Case(b"<html><h1>It works!</h1></html>", None, None, False),
    "a request": Case(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", None, None, False),
    "a TLS alert": Case(b"\x15\x03\x01\x00\x02\x02\x46", None, None, False),
    "an HTTP/2 preface": Case(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", None, None, False),
    "nothing": Case(b"", None, None, False),
}
BROKEN_OFF = {
    "in the status line": Case(b"HTTP/1.1 20", None, None, False),
    "in the head": Case(b"HTTP/1.1 200 OK\r\ncontent-le", None, None, False),
    "in a body with a length": Case(head_of(f"{OK}|content-length: 60") + b"hi", 200, None, False),
    "before any of the body": Case(head_of(f"{OK}|content-length: 60"), 200, None, False),
    "in a chunk": Case(CHUNKED + b"5\r\nhel", 200, None, False),
    "between chunks": Case(CHUNKED + b"5\r\nhello\r\n", 200, None, False),
    "in the last chunk": Case(CHUNKED + b"5\r\nhello\r\n0\r\n", 200, None, False),
    "after a hint": Case(head_of("HTTP/1.1 100 Continue"), None, None, False),
}
TOO_MUCH = {
    "a second answer": Case(head_of(f"{OK}|content-length: 2") + b"hi" + NEXT, 200, b"hi", False),
    "a second answer after chunks": Case(CHUNKED + b"2\r\nhi\r\n0\r\n\r\n" + NEXT, 200, b"hi", False),
    "the beginning of a second answer": Case(head_of(f"{OK}|content-length: 2") + b"hiH", 200, b"hi", False),
    "more than the length": Case(head_of(f"{OK}|content-length: 2") + b"hi there", 200, b"hi", False),
    "more after closing": Case(head_of(f"{OK}|connection: close|content-length: 2") + b"hi" + NEXT, 200, b"hi", False),
    "a body where none can be": Case(head_of("HTTP/1.1 204 No Content|content-length: 2") + b"hi", 204, b"", False),
    "chunks where none can be": Case(
        head_of("HTTP/1.1 204 No Content|transfer-encoding: chunked") + b"0\r\n\r\n", 204, b"", False
    ),
    "a length where no body can be": Case(head_of("HTTP/1.1 204 No Content|content-length: 2"), 204, b"", False),
}
ALL = {**SOUND, **SMUGGLED, **BROKEN_OFF, **TOO_MUCH}
