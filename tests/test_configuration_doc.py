"""`docs/configuration.md` and the code say the same."""

import re
from pathlib import Path

import pytest

from gateway.settings import BUCKETS, describe, later, load, table
from gateway.settings.environment import NO_SETTINGS
from gateway.settings.names import KINDS

TEXT = (Path(__file__).parents[1] / "docs" / "configuration.md").read_text(encoding="utf-8")
LATER = TEXT.partition("## What comes later")[2]


def test_the_table_is_the_one_that_the_model_gives() -> None:
    written = re.search(r"<!-- settings: begin[^\n]*-->\n(.*)<!-- settings: end -->", TEXT, re.DOTALL)
    assert written is not None
    assert written[1] == table(), "print the table again, as the comment above it says"


def test_the_example_is_free_of_mistakes(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert example is not None
    file = tmp_path / "tollkeeper.yaml"
    file.write_text(example[1], encoding="utf-8")
    settings = load(file, {})
    assert settings.models["fast"].targets == ("openai/gpt-4o-mini", "gpu-box/llama-3-8b")
    assert settings.providers["bench"].simulate is not None


@pytest.mark.parametrize("path", later())
def test_what_comes_later_is_named(path: str) -> None:
    assert f"`{path}`" in LATER


def test_every_path_that_the_document_names_as_later_is_refused_by_the_model() -> None:
    named = {name for name in re.findall(r"`([a-z]+(?:\.[A-Za-z_.]+)?)`", LATER) if "." in name}
    values_of_settings = {doc.path for doc in describe()}  # these exist, and only some of their values come later
    assert named - values_of_settings <= set(later())


@pytest.mark.parametrize("word", [*KINDS, *BUCKETS, *NO_SETTINGS])
def test_words_that_a_file_may_use_are_named(word: str) -> None:
    assert f"`{word}`" in TEXT
