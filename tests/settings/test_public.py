import pytest

from gateway.settings import public_address
from tests.settings.conftest import Read


@pytest.mark.parametrize(
    ("server", "address"),
    [
        ("{}", "http://127.0.0.1:4000"),
        ("{host: '::1', port: 80}", "http://[::1]:80"),
        ("{host: gateway.lan, tls: {cert: c, key: k}}", "https://gateway.lan:4000"),
        ("{host: 0.0.0.0}", None),
        ("{host: '::'}", None),
        ("{port: 0}", None),
        ("{host: 0.0.0.0, public_url: 'https://g.example/tolls/'}", "https://g.example/tolls"),
    ],
)
def test_links_begin_where_people_reach_the_gateway(server: str, address: str | None, read: Read) -> None:
    assert public_address(read(f"server: {server}").server) == address
