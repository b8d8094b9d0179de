"""From settings to values: what does not go together is an error at start."""

from pathlib import Path

import pytest

from gateway.app.configured import database_secrets
from gateway.core.errors import Fault, Kind
from gateway.settings import SettingsError, load
from tests.app.building import built, settings_file


@pytest.mark.parametrize(
    ("base_url", "host"),
    [("http://127.0.0.1:4000/v1", "127.0.0.1"), ("http://localhost:4000", "0.0.0.0"), ("http://[::1]:4000", "::")],  # noqa: S104
)
def test_a_provider_that_is_ourselves_is_an_error_at_start(tmp_path: Path, base_url: str, host: str) -> None:
    server = f"{{data: {tmp_path}, port: 4000, host: '{host}'}}"
    with pytest.raises(Fault, match="leads back to this gateway"):
        built(tmp_path, server=server, providers=f'\n  me: {{kind: vllm, base_url: "{base_url}"}}')


def test_a_key_of_ours_as_provider_key_is_an_error_at_start(tmp_path: Path) -> None:
    with pytest.raises(Fault) as refused:
        built(tmp_path, {"K": "tk-ours"}, providers="\n  openai: {api_key: env:K}")
    assert refused.value.kind is Kind.FORBIDDEN
    assert "tk-ours" not in refused.value.sentence


def test_a_missing_secret_is_named_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="NOT_SET"):
        built(tmp_path, providers="\n  openai: {api_key: env:NOT_SET}")


def test_the_databases_password_is_a_secret_of_the_log(tmp_path: Path) -> None:
    """Known fault 79: as it is written in the address, and as it is meant."""
    address = "postgresql+psycopg://keeper:hunter%402@db.example/books?sslpassword=hunter3"
    settings = load(settings_file(tmp_path, database="{url: env:BOOKS}"), {"BOOKS": address})
    assert [secret.reveal() for secret in database_secrets(settings)] == ["hunter%402", "hunter@2", "hunter3"]
    assert database_secrets(load(settings_file(tmp_path), {})) == []
