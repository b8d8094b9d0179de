"""Settings from a text, as if it were the file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import pytest

from gateway.settings import Problem, Settings, SettingsError, load


class Read(Protocol):
    def __call__(self, text: str, environ: Mapping[str, str] = ...) -> Settings: ...


class Mistakes(Protocol):
    def __call__(self, text: str, environ: Mapping[str, str] = ...) -> list[Problem]: ...


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """The settings of a text. Raises `SettingsError`."""

    def read(text: str, environ: Mapping[str, str] | None = None) -> Settings:
        file = tmp_path / "tollkeeper.yaml"
        file.write_text(text, encoding="utf-8")
        return load(file, environ or {})

    return read


@pytest.fixture
def mistakes(read: Read) -> Mistakes:
    """The mistakes of a text, of which there must be some."""

    def mistakes(text: str, environ: Mapping[str, str] | None = None) -> list[Problem]:
        with pytest.raises(SettingsError) as caught:
            read(text, environ or {})
        return caught.value.problems

    return mistakes
