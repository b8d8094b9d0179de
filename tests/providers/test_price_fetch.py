"""A price map from a file; from an address it is tested with the command that takes it over."""

from pathlib import Path

import pytest

from gateway.core.errors import Fault, Kind
from gateway.providers.price_fetch import NEWEST, fetch_map

pytestmark = pytest.mark.anyio


async def test_the_bytes_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    path.write_bytes(b"{}")
    assert await fetch_map(str(path)) == b"{}"
    digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert await fetch_map(str(path), digest.upper()) == b"{}"


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("missing.json", Kind.NOT_FOUND),
        (".", Kind.UNAVAILABLE),
        ("https://example.com/", Kind.INVALID),
        ("https://user@example.com/map.json", Kind.INVALID),
        ("ftp://example.com/map.json", Kind.INVALID),
        ("https:///map.json", Kind.INVALID),
    ],
)
async def test_what_is_no_source(source: str, kind: Kind) -> None:
    with pytest.raises(Fault) as caught:
        await fetch_map(source)
    assert caught.value.kind is kind


async def test_a_password_in_an_address_is_not_repeated() -> None:
    """Known fault 79."""
    with pytest.raises(Fault) as caught:
        await fetch_map("https://user:hunter2@example.com/map.json")
    assert "user name or password" in caught.value.sentence
    assert "hunter2" not in caught.value.sentence


async def test_what_is_no_digest_is_no_map_s_fault(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="is not a SHA-256 digest"):
        await fetch_map(str(tmp_path / "not looked at.json"), "abcd")


def test_the_newest_map_has_a_name() -> None:
    assert NEWEST.startswith("https://")
    assert NEWEST.endswith(".json")
