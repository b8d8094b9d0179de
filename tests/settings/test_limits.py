"""Limits as the file states them; every mistake with its line and what to do."""

from pathlib import Path

import pytest

from gateway.core.scopes import OF_CALL
from gateway.settings import SettingsError, load
from gateway.settings.limits import DIMENSIONS


def test_the_words_are_those_of_the_core() -> None:
    assert DIMENSIONS == OF_CALL


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ("{}", "limits nothing"),
        ("{scope: {key: '*'}}", "limits nothing"),
        ("{rpm: 0}", "must be from 1 to 1000000000"),
        ("{rpm: many}", "is not a whole number"),
        ("{rpm: 5, scope: {target: openai/x}}", "`target` is nothing that calls can be told apart by"),
        ("{rmp: 5}", "did you mean `rpm`?"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, stated: str, said: str) -> None:
    config = tmp_path / "tollkeeper.yaml"
    config.write_text(f"limits:\n  l: {stated}\n", encoding="utf-8")
    with pytest.raises(SettingsError) as told:
        load(config, {"HOME": str(tmp_path)})
    assert said in str(told.value)
    assert "tollkeeper.yaml:2: " in str(told.value)
