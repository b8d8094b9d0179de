"""Environment variables over the file, and providers by their usual variables."""

from pathlib import Path

import pytest

from gateway.settings import SecretRef, Settings, SettingsError, providers_from_environment
from gateway.settings.environment import plain_settings, variable
from tests.settings.conftest import Mistakes, Read


def test_a_variable_wins_over_the_file(read: Read) -> None:
    settings = read("server: {port: 1, host: localhost}", {"TOLLKEEPER_SERVER_PORT": "2"})
    assert (settings.server.port, settings.server.host) == (2, "localhost")


def test_a_variable_sets_what_the_file_does_not(read: Read) -> None:
    settings = read("", {"TOLLKEEPER_RETRIES_TIMEOUT": "9s", "TOLLKEEPER_PRICES_ON_UNKNOWN": "refuse"})
    assert (settings.retries.timeout, settings.prices.on_unknown) == (9.0, "refuse")


def test_every_variable_sets_one_setting() -> None:
    paths = list(plain_settings())
    assert len({variable(path) for path in paths}) == len(paths)
    assert ("server", "tls", "cert") in paths
    assert {path[0] for path in paths} == {"server", "database", "retries", "prices", "budgets", "holds", "logging"}


@pytest.mark.parametrize("path", tuple(plain_settings()))
def test_every_variable_is_read_by_the_rule_of_its_setting(path: tuple[str, ...], mistakes: Mistakes) -> None:
    """A NUL is a value that no rule takes."""
    problems = mistakes("", {variable(path): "\0"})
    assert (".".join(path), variable(path)) in [(problem.path, problem.source) for problem in problems]


def test_an_empty_variable_counts_as_not_set(read: Read) -> None:
    assert read("server: {port: 1}", {"TOLLKEEPER_SERVER_PORT": ""}).server.port == 1


def test_a_wrong_value_names_its_variable(mistakes: Mistakes) -> None:
    [problem] = mistakes("server: {host: localhost}", {"TOLLKEEPER_SERVER_PORT": "many"})
    assert str(problem) == "TOLLKEEPER_SERVER_PORT: server.port: `many` is not a whole number"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("TOLLKEEPER_SERVER_PROT", "did you mean `TOLLKEEPER_SERVER_PORT`?"),
        ("TOLLKEEPER_ADMIN_TOKN", "did you mean `TOLLKEEPER_ADMIN_TOKEN`?"),
        ("TOLLKEEPER_PROVIDERS_OPENAI_API_KEY", "providers can be set in the file only"),
        ("TOLLKEEPER_KEYS", "keys can be set in the file only"),
        ("TOLLKEEPER_SERVER_ALLOWED_ORIGINS", "not one value, so it can be set in the file only"),
        ("TOLLKEEPER_SERVER_TLS", "not one value, so it can be set in the file only"),
        ("TOLLKEEPER_SERVER_TRUSTED_PROXIES", "trusted_proxies are not in this version"),
        ("TOLLKEEPER_RETRIES_COOLDOWN", "cooldown is not in this version"),
        ("TOLLKEEPER_CACHE_MODE", "the cache is not in this version"),
        ("TOLLKEEPER_BUDGETS_SPENT", "did you mean `TOLLKEEPER_BUDGETS_MAX_SUBJECTS`?"),
        ("TOLLKEEPER_LIMITS", "limits can be set in the file only"),
    ],
)
def test_a_variable_that_sets_nothing_is_refused(name: str, said: str, mistakes: Mistakes) -> None:
    [problem] = mistakes("", {name: "hunter2"})
    assert problem.source == name
    assert said in str(problem)
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize("name", ["PATH", "TOLLKEEPER_ADMIN_TOKEN", "tollkeeper_server_port"])
def test_other_variables_are_left_alone(name: str, read: Read) -> None:
    assert read("", {name: "x"}).server.port == 4000


def test_what_kubernetes_sets_beside_a_service_of_our_name_is_passed_over(read: Read) -> None:
    links = {
        "TOLLKEEPER_SERVICE_HOST": "10.0.0.9",
        "TOLLKEEPER_SERVICE_PORT": "4000",
        "TOLLKEEPER_SERVICE_PORT_HTTP": "4000",
        "TOLLKEEPER_PORT": "tcp://10.0.0.9:80",
        "TOLLKEEPER_PORT_80_TCP": "tcp://10.0.0.9:80",
        "TOLLKEEPER_PORT_80_TCP_ADDR": "10.0.0.9",
        "TOLLKEEPER_SERVER_PORT": "tcp://10.0.0.9:80",  # of a service named tollkeeper-server
    }
    assert read("", links).server.port == 4000


def test_a_relative_path_of_a_variable_is_relative_to_the_working_directory(read: Read) -> None:
    assert read("", {"TOLLKEEPER_SERVER_DATA": "d"}).server.data == Path.cwd() / "d"


def test_a_section_that_the_file_gets_wrong_is_told_once(mistakes: Mistakes) -> None:
    [problem] = mistakes("server: 4000", {"TOLLKEEPER_SERVER_PORT": "1", "TOLLKEEPER_SERVER_DATA": "/d"})
    assert problem.path == "server"


# providers


def test_nothing_set_is_no_provider() -> None:
    found = providers_from_environment({"OPENAI_API_KEY": " "})
    assert (found.providers, found.notes) == ({}, ())


def test_every_usual_key_is_a_provider_and_stays_in_its_variable() -> None:
    kinds = [
        "openai",
        "anthropic",
        "gemini",
        "mistral",
        "groq",
        "deepseek",
        "xai",
        "openrouter",
        "together",
        "fireworks",
    ]
    environ = {f"{kind.upper()}_API_KEY": "sk-1" for kind in kinds}
    found = providers_from_environment(environ)
    assert list(found.providers) == kinds
    for kind, provider in found.providers.items():
        assert provider.kind == kind
        assert provider.base_url is None
        assert provider.api_key == SecretRef("env", f"{kind.upper()}_API_KEY")
    assert "sk-1" not in repr(found)


def test_an_address_of_openai_is_enough() -> None:
    provider = providers_from_environment({"OPENAI_BASE_URL": "http://localhost:1234/v1"}).providers["openai"]
    assert (provider.base_url, provider.api_key) == ("http://localhost:1234/v1", None)


def test_azure_needs_its_key_and_its_address() -> None:
    key, endpoint = {"AZURE_OPENAI_API_KEY": "k"}, {"AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com/"}
    azure = providers_from_environment(key | endpoint).providers["azure"]
    assert (azure.kind, azure.base_url) == ("azure", "https://r.openai.azure.com/")
    assert azure.api_key == SecretRef("env", "AZURE_OPENAI_API_KEY")
    alone = providers_from_environment(key)
    assert alone.providers == {}
    assert "AZURE_OPENAI_ENDPOINT is not" in alone.notes[0]


def test_what_aws_sets_is_noticed_and_not_used() -> None:
    found = providers_from_environment({"AWS_ACCESS_KEY_ID": "AKIA1"})
    assert found.providers == {}
    assert found.notes == ("AWS_ACCESS_KEY_ID is set and not used: Bedrock is not in this version",)


@pytest.mark.parametrize("environ", [
    {"OPENAI_BASE_URL": "http://u:hunter2@h"},
    {"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_ENDPOINT": "hunter2"},
])  # fmt: skip
def test_a_wrong_address_names_its_variable_and_does_not_repeat_it(environ: dict[str, str], mistakes: Mistakes) -> None:
    with pytest.raises(SettingsError) as caught:
        providers_from_environment(environ)
    [problem] = caught.value.problems
    assert problem.source == list(environ)[-1]
    assert "hunter2" not in str(problem)
    assert mistakes("", environ) == [problem]


def names(settings: Settings) -> list[str]:
    return list(settings.providers)


def test_usual_variables_count_only_when_no_providers_are_given(read: Read) -> None:
    environ = {"OPENAI_API_KEY": "sk-1", "AWS_PROFILE": "x"}
    assert names(read("server: {port: 1}", environ)) == ["openai"]
    assert names(read("providers:\n", environ)) == ["openai"]
    given = read("providers: {ollama: {}}", environ)
    assert names(given) == ["ollama"]
    assert given.notes == ()


def test_models_may_name_a_provider_of_the_environment(read: Read) -> None:
    settings = read("models: {fast: {targets: [openai/gpt-4o-mini]}}", {"OPENAI_API_KEY": "sk-1"})
    assert settings.models["fast"].targets == ("openai/gpt-4o-mini",)
