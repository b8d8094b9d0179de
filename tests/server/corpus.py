"""Raw requests of HTTP/1.1 and what a careful server makes of each: which requests it takes, and what it refuses.

The classes are the published ones: CL.TE, TE.CL, TE.TE (Linhart et al. 2005, Kettle 2019), lengths that are none, chunk
sizes and extensions (CVE-2019-18277, CVE-2022-31394, CVE-2023-39326, CVE-2025-58068 and their kin), bare line breaks,
folded lines, names and values with junk, doubled hosts and absolute targets, other protocols, and poison in the pipe.
"""

from dataclasses import dataclass

from tests.server.talk import Taken


@dataclass(frozen=True)
class Case:
    """Raw bytes, the requests that are taken from them, and the statuses of all answers; the line stays if `open`."""

    raw: bytes
    taken: tuple[Taken, ...]
    statuses: tuple[int, ...]
    open: bool = True


def head(text: str) -> bytes:
    """Lines from text with `|` between them."""
    return ("\r\n".join(text.split("|")) + "\r\n\r\n").encode("latin-1")


GET = Taken("GET", "/")
POST = Taken("POST", "/")
NEXT = head("GET /next HTTP/1.1|host: a")
POISON = head("GET /admin HTTP/1.1|host: a")
AFTER = Taken("GET", "/next")
CHUNKED = head("POST / HTTP/1.1|host: a|transfer-encoding: chunked")
END = b"0\r\n\r\n"


def sound(raw: bytes, *taken: Taken, open: bool = True) -> Case:
    """All of it is understood."""
    return Case(raw, taken, (200,) * len(taken), open)


def refused(raw: bytes, status: int = 400, *taken: Taken) -> Case:
    """Only these requests are taken; then it is refused, and the line ends."""
    return Case(raw, taken, (*(200 for _ in taken), status), False)


def body(data: bytes) -> Taken:
    return Taken("POST", "/", data)


SOUND = {
    "get": sound(head("GET / HTTP/1.1|host: a"), GET),
    "names in capitals": sound(head("GET / HTTP/1.1|HOST: a|ACCEPT: */*"), GET),
    "a query": sound(head("GET /a/b?c=d&e=%20 HTTP/1.1|host: a"), Taken("GET", "/a/b?c=d&e=%20")),
    "an escaped path": sound(head("GET /%61%2Fb HTTP/1.1|host: a"), Taken("GET", "/%61%2Fb")),
    "two slashes": sound(head("GET //b/c HTTP/1.1|host: a"), Taken("GET", "//b/c")),
    "length": sound(head("POST / HTTP/1.1|host: a|content-length: 5") + b"hello", body(b"hello")),
    "length with zeros": sound(head("POST / HTTP/1.1|host: a|content-length: 0005") + b"hello", body(b"hello")),
    "length with spaces around": sound(head("POST / HTTP/1.1|host: a|content-length: \t5 ") + b"hello", body(b"hello")),
    "no length is no body": sound(head("POST / HTTP/1.1|host: a"), POST),
    "a body of a GET": sound(
        head("GET / HTTP/1.1|host: a|content-length: 5") + b"hello" + NEXT, Taken("GET", "/", b"hello"), AFTER
    ),
    "chunked": sound(CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n" + END, body(b"hello")),
    "chunked and empty": sound(CHUNKED + END, POST),
    "chunk sizes in capitals and with zeros": sound(
        CHUNKED + b"000A\r\n0123456789\r\n000\r\n\r\n", body(b"0123456789")
    ),
    "chunk extensions": sound(CHUNKED + b'5;a=b;c="d"\r\nhello\r\n0;e\r\n\r\n', body(b"hello")),
    "trailers": sound(CHUNKED + b"5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n" + NEXT, body(b"hello"), AFTER),
    "chunked in capitals": sound(
        head("POST / HTTP/1.1|host: a|Transfer-Encoding: CHUNKED") + b"1\r\nx\r\n" + END, body(b"x")
    ),
    "a chunk that reads like an end": sound(CHUNKED + b"5\r\n0\r\n\r\n\r\n" + END, body(b"0\r\n\r\n")),
    "a body that reads like a request": sound(
        head(f"POST / HTTP/1.1|host: a|content-length: {len(POISON)}") + POISON, body(POISON)
    ),
    "three in a row": sound(NEXT * 3, AFTER, AFTER, AFTER),
    "bodies in a row": sound(
        CHUNKED + b"1\r\nx\r\n" + END + head("POST / HTTP/1.1|host: a|content-length: 1") + b"y" + NEXT,
        body(b"x"),
        body(b"y"),
        AFTER,
    ),
    "empty lines first": sound(b"\r\n\r\n" + NEXT, AFTER),
    "a line feed first": sound(b"\n" + NEXT, AFTER),
    "the last one": sound(head("GET / HTTP/1.1|host: a|connection: close"), GET, open=False),
    "the last one in a list": sound(head("GET / HTTP/1.1|host: a|Connection: x-hop, Close"), GET, open=False),
    "nothing is heard after the last one": sound(
        head("GET / HTTP/1.1|host: a|connection: close") + POISON, GET, open=False
    ),
    "1.0": sound(head("GET / HTTP/1.0"), GET, open=False),
    "1.0 that is kept": sound(head("GET / HTTP/1.0|connection: keep-alive"), GET),
    "1.0 with a host and a length": sound(
        head("POST / HTTP/1.0|host: a|content-length: 2") + b"hi", body(b"hi"), open=False
    ),
    "an empty host": sound(head("GET / HTTP/1.1|host:"), GET),
    "a host with a port": sound(head("GET / HTTP/1.1|host: [::1]:4000"), GET),
    "an absolute target": sound(head("GET http://a/b?c HTTP/1.1|host: a"), Taken("GET", "/b?c")),
    "an absolute target without a path": sound(head("GET HTTPS://a:1 HTTP/1.1|host: a:1"), GET),
    "an absolute target with only a query": sound(head("GET http://a?b/c HTTP/1.1|host: a"), Taken("GET", "/?b/c")),
    "all of the server": sound(head("OPTIONS * HTTP/1.1|host: a"), Taken("OPTIONS", "*")),
    "an upgrade": sound(head("GET / HTTP/1.1|host: a|connection: Upgrade|upgrade: websocket") + NEXT, GET, AFTER),
    "an upgrade with a body": sound(
        head("POST / HTTP/1.1|host: a|connection: Upgrade, HTTP2-Settings|upgrade: h2c|content-length: 5")
        + b"hello"
        + NEXT,
        body(b"hello"),
        AFTER,
    ),
    "an upgrade with chunks": sound(
        head("POST / HTTP/1.1|host: a|connection: upgrade|upgrade: h2c|transfer-encoding: chunked")
        + b"1\r\nx\r\n"
        + END
        + NEXT,
        body(b"x"),
        AFTER,
    ),
    "an upgrade that is the last one": sound(
        head("GET / HTTP/1.1|host: a|connection: close, upgrade|upgrade: h2c") + POISON, GET, open=False
    ),
    "a value in Latin-1": sound(head("GET / HTTP/1.1|host: a|x: gr\xfcn"), GET),
    "a value with a tab": sound(head("GET / HTTP/1.1|host: a|x: a\tb"), GET),
    "a value that is empty": sound(head("GET / HTTP/1.1|host: a|x:|y: "), GET),
    "a coding with a wrong name": sound(head("POST / HTTP/1.1|host: a|transfer_encoding: chunked") + NEXT, POST, AFTER),
    "a method of WebDAV": sound(head("PROPFIND / HTTP/1.1|host: a"), Taken("PROPFIND", "/")),
    "a search of UPnP": sound(head("M-SEARCH / HTTP/1.1|host: a"), Taken("M-SEARCH", "/")),
    "an expectation": sound(
        head("POST / HTTP/1.1|host: a|expect: 100-continue|content-length: 2") + b"hi", body(b"hi")
    ),
    "another expectation": sound(head("POST / HTTP/1.1|host: a|expect: luck|content-length: 2") + b"hi", body(b"hi")),
}
# Two readers may disagree where these requests end, or what they ask: RFC 9112 §6, §11.2.
SMUGGLED = {
    "CL.TE": refused(
        head("POST / HTTP/1.1|host: a|content-length: 6|transfer-encoding: chunked") + END + b"G" + POISON,
    ),
    "TE.CL": refused(
        head("POST / HTTP/1.1|host: a|transfer-encoding: chunked|content-length: 3") + b"8\r\nSMUGGLED\r\n" + END,
    ),
    "CL.TE with a length of nothing": refused(
        head("POST / HTTP/1.1|host: a|content-length: 0|transfer-encoding: chunked") + END
    ),
    "CL.TE in 1.0": refused(head("POST / HTTP/1.0|content-length: 5|transfer-encoding: chunked") + END),
    "TE in 1.0": refused(head("POST / HTTP/1.0|transfer-encoding: chunked") + END),
    "TE.TE, twice chunked": refused(
        head("POST / HTTP/1.1|host: a|transfer-encoding: chunked|transfer-encoding: chunked") + END
    ),
    "TE.TE, twice chunked in a list": refused(
        head("POST / HTTP/1.1|host: a|transfer-encoding: chunked, chunked") + END
    ),
    "TE.TE, x first": refused(head("POST / HTTP/1.1|host: a|transfer-encoding: x|transfer-encoding: chunked") + END),
    "TE.TE, x last": refused(head("POST / HTTP/1.1|host: a|transfer-encoding: chunked|transfer-encoding: x") + END),
    "TE.TE, identity first": refused(
        head("POST / HTTP/1.1|host: a|transfer-encoding: identity|transfer-encoding: chunked") + END
    ),
    "identity": refused(head("POST / HTTP/1.1|host: a|transfer-encoding: identity") + b"hi"),
    "identity and a length": refused(
        head("POST / HTTP/1.1|host: a|transfer-encoding: identity|content-length: 2") + b"hi"
    ),
    "identity, chunked": refused(head("POST / HTTP/1.1|host: a|transfer-encoding: identity, chunked") + END),
    "gzip, chunked": refused(head("POST / HTTP/1.1|host: a|transfer-encoding: gzip, chunked") + END),
    "chunked, gzip": refused(head("POST / HTTP/1.1|host: a|transfer-encoding: chunked, gzip") + END),
    "xchunked": refused(head("POST / HTTP/1.1|host: a|transfer-encoding: xchunked") + END),
    "chunkedx": refused(head("POST / HTTP/1.1|host: a|transfer-encoding: chunkedx") + END),
    "chunked in quotes": refused(head('POST / HTTP/1.1|host: a|transfer-encoding: "chunked"') + END),
    "chunked with a parameter": refused(head("POST / HTTP/1.1|host: a|transfer-encoding: chunked;q=1") + END),
    "a comma before chunked": refused(head("POST / HTTP/1.1|host: a|transfer-encoding: ,chunked") + END),
    "a comma after chunked": refused(head("POST / HTTP/1.1|host: a|transfer-encoding: chunked,") + END),
    "a vertical tab before chunked": refused(head("POST / HTTP/1.1|host: a|transfer-encoding: \x0bchunked") + END),
    "a vertical tab after chunked": refused(head("POST / HTTP/1.1|host: a|transfer-encoding: chunked\x0b") + END),
    "a hard space before chunked": refused(head("POST / HTTP/1.1|host: a|transfer-encoding: \xa0chunked") + END),
    "a null after chunked": refused(head("POST / HTTP/1.1|host: a|transfer-encoding: chunked\0") + END),
    "a coding that is empty": refused(head("POST / HTTP/1.1|host: a|transfer-encoding:") + END),
    "a space before the coding's colon": refused(head("POST / HTTP/1.1|host: a|transfer-encoding : chunked") + END),
    "a tab before the coding's colon": refused(head("POST / HTTP/1.1|host: a|transfer-encoding\t: chunked") + END),
    "a space before the coding's name": refused(head("POST / HTTP/1.1|host: a| transfer-encoding: chunked") + END),
    "the coding folded": refused(head("POST / HTTP/1.1|host: a|transfer-encoding:| chunked") + END),
    "the coding behind a carriage return": refused(
        head("POST / HTTP/1.1|host: a|x: y\rtransfer-encoding: chunked") + END
    ),
    "the coding behind a line feed": refused(head("POST / HTTP/1.1|host: a|x: y\ntransfer-encoding: chunked") + END),
    "the coding behind a null": refused(head("POST / HTTP/1.1|host: a|x: y\0transfer-encoding: chunked") + END),
    "two lengths": refused(head("POST / HTTP/1.1|host: a|content-length: 2|content-length: 60") + b"hi" + NEXT),
    "the same length twice": refused(head("POST / HTTP/1.1|host: a|content-length: 2|content-length: 2") + b"hi"),
    "a list of lengths": refused(head("POST / HTTP/1.1|host: a|content-length: 2, 2") + b"hi"),
    "a length with a sign": refused(head("POST / HTTP/1.1|host: a|content-length: +2") + b"hi"),
    "a negative length": refused(head("POST / HTTP/1.1|host: a|content-length: -2") + b"hi"),
    "a length of minus nothing": refused(head("POST / HTTP/1.1|host: a|content-length: -0")),
    "a length in hexadecimal": refused(head("POST / HTTP/1.1|host: a|content-length: 0x2") + b"hi"),
    "a length with a space in it": refused(head("POST / HTTP/1.1|host: a|content-length: 1 2") + b"hi" * 6),
    "a length with a low line": refused(head("POST / HTTP/1.1|host: a|content-length: 1_0") + b"hi" * 5),
    "a length with a point": refused(head("POST / HTTP/1.1|host: a|content-length: 2.0") + b"hi"),
    "a length with letters behind": refused(head("POST / HTTP/1.1|host: a|content-length: 2abc") + b"hi"),
    "a length in other digits": refused(head("POST / HTTP/1.1|host: a|content-length: \xb2") + b"hi"),
    "a length that is empty": refused(head("POST / HTTP/1.1|host: a|content-length:") + b"hi"),
    "a length beyond 64 bits": refused(head("POST / HTTP/1.1|host: a|content-length: 18446744073709551618") + b"hi"),
    "a space before the length's colon": refused(head("POST / HTTP/1.1|host: a|content-length : 2") + b"hi"),
    "a folded length": refused(head("POST / HTTP/1.1|host: a|content-length:| 2") + b"hi"),
    "a null before the length": refused(head("POST / HTTP/1.1|host: a|content-length: \x002") + b"hi"),
}
CHUNKS = {
    "a chunk size that is none": refused(CHUNKED + b"zz\r\nhi\r\n" + END),
    "an empty chunk size": refused(CHUNKED + b"\r\nhi\r\n" + END),
    "a chunk size of an extension alone": refused(CHUNKED + b";a=b\r\nhi\r\n" + END),
    "a negative chunk size": refused(CHUNKED + b"-2\r\nhi\r\n" + END),
    "a chunk size with a sign": refused(CHUNKED + b"+2\r\nhi\r\n" + END),
    "a chunk size with a prefix": refused(CHUNKED + b"0x2\r\nhi\r\n" + END),
    "a chunk size with a low line": refused(CHUNKED + b"0_2\r\nhi\r\n" + END),
    "a chunk size with a space behind": refused(CHUNKED + b"2 \r\nhi\r\n" + END),
    "a chunk size with a space before": refused(CHUNKED + b" 2\r\nhi\r\n" + END),
    "a chunk size with a null": refused(CHUNKED + b"2\0\r\nhi\r\n" + END),
    "a chunk size beyond 64 bits": refused(CHUNKED + b"10000000000000002\r\nhi\r\n" + END),
    "a chunk longer than it says": refused(CHUNKED + b"2\r\nhixx\r\n" + END),
    "a chunk without its end": refused(CHUNKED + b"2\r\nhi0\r\n\r\n"),
    "a chunk that ends in a line feed": refused(CHUNKED + b"2\r\nhi\n" + END),
    "a chunk that ends in a carriage return": refused(CHUNKED + b"2\r\nhi\r" + END),
    "a chunk size that ends in a line feed": refused(CHUNKED + b"2\nhi\r\n" + END),
    "a chunk size that ends in a carriage return": refused(CHUNKED + b"2\rhi\r\n" + END),
    "a line feed in a chunk extension": refused(CHUNKED + b"2;a\nhi\r\n" + END),
    "a carriage return in a chunk extension": refused(CHUNKED + b"2;a\rb\r\nhi\r\n" + END),
    "a null in a chunk extension": refused(CHUNKED + b"2;a\0b\r\nhi\r\n" + END),
    "an end of line feeds": refused(CHUNKED + b"0\n\n"),
    "an end with one line feed": refused(CHUNKED + b"0\r\n\n"),
    "an end with junk": refused(CHUNKED + b"0\r\n\rX"),
    "a length among the trailers": refused(CHUNKED + b"0\r\ncontent-length: 60\r\n\r\n" + NEXT),
    "a coding among the trailers": refused(CHUNKED + b"0\r\ntransfer-encoding: chunked\r\n\r\n" + NEXT),
    "a folded trailer": refused(CHUNKED + b"0\r\nx: a\r\n b\r\n\r\n" + NEXT),
    "a trailer with a space before its colon": refused(CHUNKED + b"0\r\nx : a\r\n\r\n" + NEXT),
    "a trailer that is no field": refused(CHUNKED + b"0\r\n" + POISON),
}
LINES = {
    "bare line feeds": refused(b"GET / HTTP/1.1\nhost: a\n\n"),
    "a bare line feed after a field": refused(b"GET / HTTP/1.1\r\nhost: a\n\r\n"),
    "a bare line feed at the end": refused(b"GET / HTTP/1.1\r\nhost: a\r\n\n"),
    "a bare carriage return": refused(b"GET / HTTP/1.1\r\nhost: a\rx: y\r\n\r\n"),
    "a carriage return too much": refused(b"GET / HTTP/1.1\r\nhost: a\r\r\n\r\n"),
    "a carriage return at the end": refused(b"GET / HTTP/1.1\r\nhost: a\r\n\rX"),
    "a folded field": refused(head("GET / HTTP/1.1|host: a|x: b| c")),
    "a folded first field": refused(head("GET / HTTP/1.1| host: a")),
    "a space before a colon": refused(head("GET / HTTP/1.1|host : a")),
    "a field without a name": refused(head("GET / HTTP/1.1|host: a|: b")),
    "a field without a colon": refused(head("GET / HTTP/1.1|host: a|hello")),
    "a name with a bracket": refused(head("GET / HTTP/1.1|host: a|x(y: b")),
    "a name in Latin-1": refused(head("GET / HTTP/1.1|host: a|gr\xfcn: b")),
    "a name with a null": refused(head("GET / HTTP/1.1|host: a|x\0: b")),
    "a name in quotes": refused(head('GET / HTTP/1.1|host: a|"x": b')),
    "a value with a null": refused(head("GET / HTTP/1.1|host: a|x: b\0c")),
    "a value with a control character": refused(head("GET / HTTP/1.1|host: a|x: b\x01c")),
    "a value with a delete": refused(head("GET / HTTP/1.1|host: a|x: b\x7fc")),
    "no host": refused(head("GET / HTTP/1.1|x: b")),
    "two hosts": refused(head("GET / HTTP/1.1|host: a|host: b")),
    "the same host twice": refused(head("GET / HTTP/1.1|host: a|Host: a")),
    "two hosts in 1.0": refused(head("GET / HTTP/1.0|host: a|host: b")),
    "a list of hosts": refused(head("GET / HTTP/1.1|host: a b")),
    "a host with a path": refused(head("GET / HTTP/1.1|host: a/b")),
    "a host with a user": refused(head("GET / HTTP/1.1|host: b@a")),
    "a host in Latin-1": refused(head("GET / HTTP/1.1|host: gr\xfcn")),
    "a host without an end": refused(head(f"GET / HTTP/1.1|host: {'a' * 400}")),
    "a fragment": refused(head("GET /a#b HTTP/1.1|host: a")),
    "a fragment in a query": refused(head("GET /a?b#c HTTP/1.1|host: a")),
    "a target in Latin-1": refused(head("GET /gr\xfcn HTTP/1.1|host: a")),
    "a target with a null": refused(head("GET /\0 HTTP/1.1|host: a")),
    "a target with a control character": refused(head("GET /\x01 HTTP/1.1|host: a")),
    "a target with a space": refused(head("GET /a b HTTP/1.1|host: a")),
    "a target with a tab": refused(head("GET /a\tb HTTP/1.1|host: a")),
    "a target with a line feed": refused(head("GET /a\nb HTTP/1.1|host: a")),
    "a target without a slash": refused(head("GET a HTTP/1.1|host: a")),
    "a target that is a host": refused(head("GET a:80 HTTP/1.1|host: a")),
    "a target that is all, but no OPTIONS": refused(head("GET * HTTP/1.1|host: a")),
    "an absolute target of another scheme": refused(head("GET ftp://a/ HTTP/1.1|host: a")),
    "an absolute target with a user": refused(head("GET http://b@a/ HTTP/1.1|host: a")),
    "an absolute target without a host": refused(head("GET http:///a HTTP/1.1|host: a")),
    "tabs in the first line": refused(b"GET\t/\tHTTP/1.1\r\nhost: a\r\n\r\n"),
    "a space before all": refused(b" " + NEXT),
    "a space after the version": refused(b"GET / HTTP/1.1 \r\nhost: a\r\n\r\n"),
    "a method in small letters": refused(head("get / HTTP/1.1|host: a")),
    "a method that nobody knows": refused(head("BREW / HTTP/1.1|host: a")),
    "no target": refused(head("GET HTTP/1.1|host: a")),
    "no version": refused(b"GET /\r\n\r\n", 505),
    "no version, with fields": refused(head("GET /|host: a"), 505),
    "HTTP/0.9": refused(head("GET / HTTP/0.9|host: a"), 505),
    "HTTP/2.0": refused(head("GET / HTTP/2.0|host: a"), 505),
    "HTTP/1.2": refused(head("GET / HTTP/1.2|host: a")),
    "HTTP/11": refused(head("GET / HTTP/11|host: a")),
    "http in small letters": refused(head("GET / http/1.1|host: a")),
    "ICE": refused(head("GET / ICE/1.0|host: a")),
    "a method of ICE": refused(head("SOURCE / ICE/1.0|host: a"), 501),
    "a method of RTSP": refused(head("DESCRIBE / RTSP/1.0|host: a"), 501),
    "a tunnel": refused(head("CONNECT a:80 HTTP/1.1|host: a:80") + b"secret", 501),
    "a tunnel with a length": refused(head("CONNECT a:80 HTTP/1.1|host: a:80|content-length: 2") + b"hi", 501),
    "an HTTP/2 preface": refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "a TLS greeting": refused(b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03"),
    "an answer": refused(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    "SSH": refused(b"SSH-2.0-OpenSSH_9.6\r\n"),
}
PIPES = {
    "poison behind a sound request": refused(NEXT + head("GET / HTTP/1.1|host: a|x : b"), 400, AFTER),
    "poison behind two": refused(NEXT * 2 + b"\0\0\0\0", 400, AFTER, AFTER),
    "poison behind a body": refused(
        head("POST / HTTP/1.1|host: a|content-length: 2") + b"hi" + b"POST / HTTP/1.1\n", 400, body(b"hi")
    ),
    "a body longer than its length": refused(
        head("POST / HTTP/1.1|host: a|content-length: 2") + b"hi there", 400, body(b"hi")
    ),
    "chunks behind their end": refused(CHUNKED + b"2\r\nhi\r\n" + END + b"2\r\nho\r\n", 400, body(b"hi")),
    "two framings behind a sound request": refused(
        NEXT + head("POST / HTTP/1.1|host: a|content-length: 1|transfer-encoding: chunked") + END, 400, AFTER
    ),
    "a broken chunk behind a sound request": refused(NEXT + CHUNKED + b"zz\r\n", 400, AFTER),
    "no host behind a sound request": refused(NEXT + head("GET / HTTP/1.1|x: b") + POISON, 400, AFTER),
    "nothing is heard behind a refusal": refused(head("GET / HTTP/1.1|x: b") + POISON * 3),
}

REFUSED = {**SMUGGLED, **CHUNKS, **LINES, **PIPES}
ALL = {**SOUND, **REFUSED}
