"""Rules for addresses."""

from pathlib import Path

import pytest

from gateway.settings import addresses
from gateway.settings.problems import Origin, Report, Wrong
from gateway.settings.schema import Rule
from gateway.settings.source import Node


def value(rule: Rule[str], text: str) -> str:
    return rule.read(Node(("x",), Origin("f", 1, Path("/etc")), text), Report())


def refusal(rule: Rule[str], text: str) -> str:
    with pytest.raises(Wrong) as caught:
        value(rule, text)
    return f"{caught.value.message}; {caught.value.hint}"


@pytest.mark.parametrize(
    "text", ["https://api.openai.com/v1", "http://10.0.0.5:8000", "http://[::1]:1/v1/", "https://h/a/b"]
)
def test_a_base_url_is_kept_as_it_is(text: str) -> None:
    assert value(addresses.base_url, text) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "api.openai.com", "ftp://h", "http://", "http:///v1", "http://h:99999", "http://h:0", "http://h:x", "http://[::1",
        "http://h/v1?key=1", "http://h/v1?", "http://h/#", "http://a b/", "http://h/\n", "http://h\\@evil/", "http://h/../x",
        "https://ä.example",
    ],
)  # fmt: skip
def test_what_is_no_base_url_is_refused(text: str) -> None:
    """Known fault 80: where calls go is stated exactly, in the file."""
    assert refusal(addresses.base_url, text)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    """Known fault 79: a key never shows in a message."""
    said = refusal(addresses.base_url, "https://user:hunter2@h/v1")
    assert "must not hold a user or a password" in said
    assert "hunter2" not in said


def test_an_origin_is_compared_in_lower_case() -> None:
    assert value(addresses.web_origin, "https://Tools.Example.com:8443") == "https://tools.example.com:8443"


@pytest.mark.parametrize(
    "text", ["*", "null", "https://a.example/", "a.example", "https://a.example/x", "https://a.example?"]
)
def test_what_is_more_or_less_than_an_origin_is_refused(text: str) -> None:
    assert refusal(addresses.web_origin, text)


@pytest.mark.parametrize("text", ["127.0.0.1", "::", "::1", "localhost", "box-1.example.com"])
def test_a_host_is_an_address_or_a_name(text: str) -> None:
    assert value(addresses.host, text) == text


@pytest.mark.parametrize("text", ["", "127.0.0.1:4000", "http://localhost", "a b", "*", "[::1]", "-a", "x" * 254])
def test_what_is_no_host_is_refused(text: str) -> None:
    assert "is not a host" in refusal(addresses.host, text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("sqlite+aiosqlite:////var/t.db", "sqlite+aiosqlite:////var/t.db"),
        ("sqlite+aiosqlite:///t.db", "sqlite+aiosqlite:////etc/t.db"),
    ],
)
def test_the_path_of_the_database_is_absolute(text: str, address: str) -> None:
    assert value(addresses.database, text) == address


@pytest.mark.parametrize(
    "text",
    [
        "postgresql+psycopg://h/d", "postgresql+psycopg://u:p%40ss@h:6432/d?sslmode=require", "postgresql+psycopg:///d",
        "postgresql+psycopg:///d?host=/run/postgresql", "postgresql+psycopg://[::1]:5432/d",
    ],
)  # fmt: skip
def test_an_address_of_postgresql_is_kept_as_it_is(text: str) -> None:
    assert value(addresses.database, text) == text


@pytest.mark.parametrize(
    "text",
    [
        "mysql://u:hunter2@h/d", "sqlite:///t.db", "t.db", "sqlite+aiosqlite://", "sqlite+aiosqlite:///", "sqlite+aiosqlite:///:memory:",
        "sqlite+aiosqlite:///t.db?mode=ro", "", "postgres://u:hunter2@h/d", "postgresql://u:hunter2@h/d", "PostgreSQL://h/d",
        "postgresql+psycopg://u:hunter2@h", "postgresql+psycopg://u:hunter2@h/", "postgresql+psycopg://h:x/d",
        "postgresql+psycopg://h/d/e", "postgresql+psycopg://h/d#e", "postgresql+psycopg://u:hun ter2@h/d", "postgresql+psycopg://[::1/d",
    ],
)  # fmt: skip
def test_what_is_no_database_is_refused(text: str) -> None:
    """Known fault 79: a password in an address is not repeated."""
    said = refusal(addresses.database, text)
    assert "sqlite+aiosqlite:///" in said
    assert "postgresql+psycopg://" in said
    assert "hunter2" not in said


def test_the_default_database_is_a_good_address() -> None:
    assert (
        value(addresses.database, addresses.sqlite_address(Path("/data"))) == "sqlite+aiosqlite:////data/tollkeeper.db"
    )
