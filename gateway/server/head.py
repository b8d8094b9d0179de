"""What a request's head says, as ASGI wants to hear it, and what is refused though llhttp lets it pass.

llhttp in its strict mode has refused by then: bare line breaks, folded lines, spaces before a colon, control
characters, lengths that are no number, that are repeated, or that stand beside a transfer coding. Pure: knows no
connection.
"""

from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from gateway.server.limits import MAX_FIELDS, MAX_HEAD, MAX_TARGET

Field = tuple[bytes, bytes]
Scope = dict[str, Any]


def scope_of_line(scheme: str, client: tuple[str, int] | None, server: tuple[str, int] | None) -> Scope:
    """What the scopes of all requests of one connection have in common, with the places of what they have not."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "scheme": scheme,
        "client": client,
        "server": server,
        "root_path": "",
        "extensions": {"http.response.whole": {}},
        "http_version": "1.1",
        "method": "GET",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [],
    }


# Methods of HTTP that llhttp knows; not CONNECT, which asks for a tunnel, and not those of RTSP and ICE.
_METHODS = {
    name.encode(): name
    for name in (
        *("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "QUERY"),
        *("COPY", "LOCK", "MKCOL", "MOVE", "PROPFIND", "PROPPATCH", "SEARCH", "UNLOCK", "BIND", "REBIND", "UNBIND"),
        *("ACL", "REPORT", "MKACTIVITY", "CHECKOUT", "MERGE", "MKCALENDAR", "LINK", "UNLINK"),
        *("M-SEARCH", "NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE", "PURGE"),
    )
}
_SLASH, _HASH = b"/#"
_LONGEST_HOST = 300
_IN_AUTHORITY = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=%:[]"
_ONCE = (b"host", b"content-length", b"transfer-encoding")


class Refused(Exception):
    """A request that is not served: the status of the answer, and one sentence for a person."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def scope_of(
    line: Scope, method: bytes, version: str, target: bytes, fields: list[Field], named: dict[bytes, bytes]
) -> Scope:
    """The request as ASGI wants to hear it. Raises `Refused`.

    `line`: what the scopes of one connection have in common; `named`: `fields` by name.
    """
    known = _METHODS.get(method)
    if known is None:
        raise Refused(501, "the method is not one that is served here")
    if version != "1.1" and version != "1.0":
        raise Refused(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
    if len(fields) > MAX_FIELDS:
        raise Refused(431, f"the request has more than {MAX_FIELDS} header fields")
    if len(named) < len(fields):
        _check_repeated(fields)
    host = named.get(b"host")
    if host is None:
        if version == "1.1":
            raise Refused(400, "the request has no Host field")
    elif len(host) > _LONGEST_HOST or not _is_authority(host):
        raise Refused(400, "the Host field is not a host")
    if b"transfer-encoding" in named and (version == "1.0" or named[b"transfer-encoding"].lower() != b"chunked"):
        raise Refused(400, "the only transfer coding that is understood here is chunked, over HTTP/1.1")
    if target[0] != _SLASH or _HASH in target:
        target = _unusual(known, target, fields)
    raw_path, _, query = target.partition(b"?")
    path = raw_path.decode("ascii")
    scope = line.copy()
    scope["http_version"] = version
    scope["method"] = known
    scope["path"] = unquote(path) if "%" in path else path
    scope["raw_path"] = raw_path
    scope["query_string"] = query
    scope["headers"] = fields
    return scope


@lru_cache(128)
def _is_authority(text: bytes) -> bool:
    return not text.translate(None, _IN_AUTHORITY)


def check_size(target: bytes, fields: list[Field]) -> None:
    """Raises `Refused` if the head is too large."""
    if len(target) > MAX_TARGET:
        raise Refused(414, f"the request's target is longer than {MAX_TARGET} bytes")
    if len(target) + sum(len(name) + len(value) + 4 for name, value in fields) > MAX_HEAD:
        raise Refused(431, f"the request's head is longer than {MAX_HEAD} bytes")


def _check_repeated(fields: list[Field]) -> None:
    names = [name for name, _ in fields]
    for name in _ONCE:
        if names.count(name) > 1:
            raise Refused(400, f"the request has more than one {name.decode()} field")


def _unusual(method: str, target: bytes, fields: list[Field]) -> bytes:
    """Path and query of a target that does not begin with a path; an absolute one's authority replaces the Host field
    (RFC 9112 §3.2.2)."""
    if target == b"*" and method == "OPTIONS":
        return target
    scheme, mark, rest = target.partition(b"://")
    if _HASH in target or not mark or scheme.lower() not in (b"http", b"https"):
        raise Refused(400, "the request's target is neither a path nor an address")
    authority, slash, path = rest.partition(b"/")
    authority, question, query = authority.partition(b"?")
    if not authority or len(authority) > _LONGEST_HOST or not _is_authority(authority):
        raise Refused(400, "the request's target names no host")
    fields[:] = [(b"host", authority), *(field for field in fields if field[0] != b"host")]
    return b"/" + (question + query + slash if question else b"") + path


def without_upgrade(method: bytes, version: str, target: bytes, fields: list[Field]) -> bytes:
    """The same head without the wish for another protocol: it is served as if nobody had asked (RFC 9110 §7.8)."""
    lines = [b"%b %b HTTP/%b" % (method, target, version.encode())]
    lines += (b"%b: %b" % field for field in fields if field[0] != b"upgrade")
    return b"\r\n".join((*lines, b"", b""))
