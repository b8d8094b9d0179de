"""Defaults that follow from other settings."""

from pathlib import Path

import platformdirs

from gateway.settings import SimulateSettings
from tests.settings.conftest import Mistakes, Read


def test_the_data_folder_is_the_platforms(read: Read) -> None:
    assert read("").server.data == Path(platformdirs.user_data_dir()) / "tollkeeper"


def test_database_and_journal_lie_in_the_data_folder(read: Read, tmp_path: Path) -> None:
    settings = read("server: {data: d}")
    assert settings.server.data == tmp_path / "d"
    assert settings.database.url == f"sqlite+aiosqlite:///{tmp_path}/d/tollkeeper.db"
    assert settings.database.journal == tmp_path / "d" / "journal"


def test_they_follow_a_data_folder_of_the_environment(read: Read) -> None:
    settings = read("server: {data: d}", {"TOLLKEEPER_SERVER_DATA": "/var/t"})
    assert settings.database.url == "sqlite+aiosqlite:////var/t/tollkeeper.db"
    assert settings.database.journal == Path("/var/t/journal")


def test_what_is_stated_stays(read: Read, tmp_path: Path) -> None:
    settings = read('database: {url: "sqlite+aiosqlite:////x/y.db", journal: j}')
    assert settings.database.url == "sqlite+aiosqlite:////x/y.db"
    assert settings.database.journal == tmp_path / "j"


def test_a_data_folder_that_no_database_address_can_name_is_a_mistake(mistakes: Mistakes) -> None:
    [problem] = mistakes('\nserver: {data: "a?b"}')
    assert (problem.line, problem.path) == (2, "database.url")


def test_the_kind_follows_from_the_name(read: Read) -> None:
    providers = read("providers: {groq: {}, mine: {}, other: {kind: mistral}, ollama: }").providers
    assert [provider.kind for provider in providers.values()] == ["groq", "openai", "mistral", "ollama"]


def test_a_simulated_provider_has_its_shape(read: Read) -> None:
    providers = read("providers: {simulated: , s: {kind: simulated, simulate: {seed: 4}}, openai: {}}").providers
    assert providers["simulated"].simulate == SimulateSettings()
    assert providers["s"].simulate == SimulateSettings(seed=4)
    assert providers["openai"].simulate is None
