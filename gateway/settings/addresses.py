"""Rules for addresses: base URLs, origins of web pages, the host to listen on, the database.

Knows their form only. Nothing is resolved or connected to, and a message repeats no address: one may hold a password.
"""

import ipaddress
import re
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlsplit

from gateway.settings.problems import Origin, Wrong
from gateway.settings.rules import quoted, scalar, text_of
from gateway.settings.schema import Rule

_HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?")
_PLAIN = re.compile(r"[!-\[\]-~]+")
"""Visible ASCII without the backslash, which some clients take for a slash."""
_SQLITE = "sqlite+aiosqlite:///"
_POSTGRES = "postgresql+psycopg://"
_FORM = f"write {_SQLITE}/FOLDER/tollkeeper.db or {_POSTGRES}USER@HOST/NAME"


def _split(text: str, hint: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        reachable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        raise Wrong("is not an address", hint) from None
    if not reachable or not _PLAIN.fullmatch(text) or "/../" in f"{text}/":
        raise Wrong("is not an address that begins with http:// or https://", hint)
    if parts.username is not None or parts.password is not None:
        raise Wrong("must not hold a user or a password", "a secret has a setting of its own")
    return parts


def check_base_url(text: str) -> str:
    """Where a provider is, as its own SDK takes it. Raises `Wrong`."""
    parts = _split(text, "write it like http://10.0.0.5:8000/v1")
    if parts.query or parts.fragment or text[-1] in "?#":
        raise Wrong("must end with its path: no `?` and no `#`")
    return text


def _webhook(text: str) -> str:
    if _split(text, "write it like https://hooks.example.com/tollkeeper").fragment or text[-1] == "#":
        raise Wrong("must not have a `#`")
    return text


def _public_url(text: str) -> str:
    return check_base_url(text).rstrip("/")


def _origin(text: str) -> str:
    hint = "write it like https://tools.example.com, without a path"
    if text == "*":
        raise Wrong("any page of any site cannot be let in", "name each origin")
    parts = _split(text, hint)
    if parts.path or parts.query or parts.fragment or text[-1] in "?#":
        raise Wrong("is more than an origin", hint)
    return text.lower()


def _host(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass  # not a number: then a name
    if not _HOST_NAME.fullmatch(text):
        raise Wrong(f"{quoted(text)} is not a host", "write an address or a name alone; the port is `server.port`")
    return text


def sqlite_address(folder: Path) -> str:
    """The database's default address in the data folder."""
    return f"{_SQLITE}{folder / 'tollkeeper.db'}"


def _database(text: str, origin: Origin) -> str:
    if text.startswith(_POSTGRES):
        return _postgres(text)
    if not text.startswith(_SQLITE):
        raise Wrong("is not the address of a database", _FORM)
    name = text.removeprefix(_SQLITE)
    if name in ("", ":memory:") or "?" in name:
        raise Wrong("must name a file and nothing else", _FORM)
    return f"{_SQLITE}{origin.absolute(name)}"


def _postgres(text: str) -> str:
    parts = _split_postgres(text)
    if not parts.path.strip("/") or parts.path.count("/") > 1 or parts.fragment:
        raise Wrong("must name one database after the host", _FORM)
    return text


def _split_postgres(text: str) -> SplitResult:
    wrong = Wrong("is not an address of PostgreSQL", f"{_FORM}; in a name or password write %40 for @, %2F for /")
    try:
        parts = urlsplit(text)
        sound = parts.port is None or parts.port > 0
    except ValueError:
        raise wrong from None
    if not sound or not _PLAIN.fullmatch(text):
        raise wrong
    return parts


def check_no_password(text: str) -> None:
    """Raises `Wrong` for a database address that was written where all can read it and holds a password."""
    if not text.startswith("postgresql"):
        return
    parts = _split_postgres(text)
    if parts.password is not None or any("password" in name for name, _ in parse_qsl(parts.query)):
        hint = "put the whole address where a secret is kept, and write `env:NAME` or `file:PATH`"
        raise Wrong("holds a password", hint)


base_url = scalar("http(s) address", check_base_url)
webhook = scalar("http(s) address", _webhook)
public_url = scalar("http(s) address", _public_url)
web_origin = scalar("origin", _origin)
host = scalar("address or name", _host)

database: Rule[str] = Rule(
    f"`{_SQLITE}PATH`, `{_POSTGRES}USER@HOST/NAME`, or a reference to it",
    lambda node, _: _database(text_of(node, "an address"), node.origin),
)
"""The address of an SQLite file, its path made absolute, or of a PostgreSQL database."""
