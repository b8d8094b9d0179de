"""What is this machine."""

import pytest

from gateway.core.local import host_of, is_loopback_address


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.1.2.3", True), ("::1", True), ("::ffff:127.0.0.1", True), ("10.0.0.1", False), ("192.168.0.1", False),
     ("localhost", False), ("", False)],
)  # fmt: skip
def test_addresses_of_the_loopback(address: str, expected: bool) -> None:
    assert is_loopback_address(address) is expected


@pytest.mark.parametrize(
    ("field", "host"),
    [("localhost:4000", "localhost"), ("[::1]:4000", "::1"), ("127.0.0.1", "127.0.0.1"), ("", ""), ("[", "")],
)
def test_the_host_of_a_host_field(field: str, host: str) -> None:
    assert host_of(field) == host
