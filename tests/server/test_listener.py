"""The socket that the server listens on."""

import pytest

from gateway.core.errors import Fault, Kind
from gateway.server.listener import address_of, listen


def test_a_free_port_is_found_and_told() -> None:
    with listen("127.0.0.1", 0) as listener:
        host, port = listener.getsockname()
        assert address_of(listener) == f"http://127.0.0.1:{port}"
        assert address_of(listener, tls=True) == f"https://{host}:{port}"


def test_ipv6_is_written_in_brackets() -> None:
    with listen("::1", 0) as listener:
        assert address_of(listener).startswith("http://[::1]:")


def test_a_taken_port_says_so() -> None:
    with listen("127.0.0.1", 0) as listener, pytest.raises(Fault) as taken:
        listen("127.0.0.1", listener.getsockname()[1])
    assert taken.value.kind is Kind.UNAVAILABLE
    assert "is taken by another program" in taken.value.message
    assert taken.value.hint is not None
    assert "--port" in taken.value.hint


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "not a host", "\udc80"])
def test_an_address_that_is_not_ours_says_so(host: str) -> None:
    with pytest.raises(Fault) as wrong:
        listen(host, 0)
    assert wrong.value.hint is not None
    assert "--host" in wrong.value.hint
