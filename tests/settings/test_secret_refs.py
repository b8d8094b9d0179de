"""References to secrets."""

from pathlib import Path

import pytest

from gateway.settings import SecretRef, SettingsError
from gateway.settings.problems import Origin, Wrong
from gateway.settings.secret_refs import parse_reference

ORIGIN = Origin("f.yaml", 7, Path("/etc/tollkeeper"))


def parsed(text: str, folder: Path = Path("/etc/tollkeeper")) -> SecretRef:
    return parse_reference(text, ("providers", "openai", "api_key"), Origin("f.yaml", 7, folder))


def failure(reference: SecretRef, environ: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        reference.resolve(environ)
    return str(caught.value)


def test_a_variable_is_looked_up_only_on_request() -> None:
    reference = parsed("env:OPENAI_API_KEY")
    assert str(reference) == "env:OPENAI_API_KEY"
    assert reference.resolve({"OPENAI_API_KEY": " sk-1\n"}) == "sk-1"


def test_a_file_is_found_beside_the_settings_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-2\n", encoding="utf-8")
    assert parsed("file:key", tmp_path).resolve({}) == "sk-2"
    assert parsed(f"file:{tmp_path}/key").resolve({}) == "sk-2"


@pytest.mark.parametrize(
    "text", ["sk-live-123", "env:sk-live-123", "env:", "file:", "file: ", "ENV:X", "vault:sk-live-123", ""]
)
def test_a_secret_itself_is_refused_and_not_repeated(text: str) -> None:
    """Known fault 79: a key never shows in a message."""
    with pytest.raises(Wrong) as caught:
        parsed(text)
    assert "sk-live" not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "the environment variable KEY is not set"),
        ({"KEY": " \n"}, "the environment variable KEY is empty"),
        ({"KEY": "sk-one\nsk-two"}, "more than one line"),
        ({"KEY": "sk" * 70_000}, "more than 65536 bytes"),
    ],
)
def test_a_missing_or_unusable_variable_is_told_with_its_place(environ: dict[str, str], said: str) -> None:
    sentence = failure(parsed("env:KEY"), environ)
    assert sentence.startswith("f.yaml:7: providers.openai.api_key: ")
    assert said in sentence
    assert "sk" not in sentence


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b"\xff\xfe", "not UTF-8"),
        (b"a\nb", "more than one line"),
    ],
)
def test_a_missing_or_unusable_file_is_told_with_its_place(tmp_path: Path, raw: bytes | None, said: str) -> None:
    if raw is not None:
        (tmp_path / "key").write_bytes(raw)
    sentence = failure(parsed("file:key", tmp_path), {})
    assert sentence.startswith("f.yaml:7: providers.openai.api_key: ")
    assert said in sentence


def test_two_references_to_one_secret_are_equal_wherever_they_stand() -> None:
    assert parsed("env:KEY") == SecretRef("env", "KEY")
