"""What README.md and the documents say is what the software does: commands, links, tables, examples."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.commands import app
from gateway.control.refusals import STATUS
from gateway.core.errors import Kind
from gateway.proxy.refusals import REFUSALS
from gateway.settings import load
from gateway.telemetry.metrics import Metrics, StorageStats

HOUSE = Path(__file__).parents[1]
DOCUMENTS = [*HOUSE.glob("*.md"), *HOUSE.glob("docs/*.md"), *HOUSE.glob("benchmarks/*.md")]
README = (HOUSE / "README.md").read_text(encoding="utf-8")
API = (HOUSE / "docs" / "api.md").read_text(encoding="utf-8")
OPERATIONS = (HOUSE / "docs" / "operations.md").read_text(encoding="utf-8")

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def prose(text: str) -> str:
    return FENCE.sub("", text)


# --- commands ---------------------------------------------------------------------------------------------------------


def command_lines(text: str) -> Iterator[str]:
    """Every `tollkeeper …`: lines of shell examples, and code in the running text that is a command and no name."""
    for language, block in FENCE.findall(text):
        if language == "sh":
            yield from (line for line in block.replace("\\\n", " ").splitlines() if line.startswith("tollkeeper "))
    yield from re.findall(r"`(tollkeeper [a-z-][^`…]*)`", prose(text))


def words_of(line: str) -> list[str]:
    """The arguments of the first `tollkeeper` in a line of shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)
    words = words[words.index("tollkeeper") + 1 :]
    ends = [index for index, word in enumerate(words) if set(word) <= set("();<>|&")]
    return words[: ends[0]] if ends else words


COMMANDS = sorted({line for path in DOCUMENTS for line in command_lines(path.read_text(encoding="utf-8"))})


def test_there_are_commands_to_try() -> None:
    assert len(COMMANDS) > 30
    assert words_of("tollkeeper calls show ID | less  # one call") == ["calls", "show", "ID"]


@pytest.mark.parametrize("line", COMMANDS)
def test_command_lines_are_understood(line: str) -> None:
    """A command that is not there, or a flag that it has not, is an error even with `--help` behind it."""
    answer = CliRunner().invoke(app, [*words_of(line), "--help"])
    assert answer.exit_code == 0, answer.output
    assert "Usage: " in answer.output


@pytest.mark.parametrize("words", [["nonsense"], ["usage", "--nonsense"], ["key", "nonsense"]])
def test_the_test_above_can_fail(words: list[str]) -> None:
    assert CliRunner().invoke(app, [*words, "--help"]).exit_code == 2


# --- links ------------------------------------------------------------------------------------------------------------


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", prose(document.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document: Path) -> Iterator[str]:
    for link in LINK.findall(prose(document.read_text(encoding="utf-8"))):
        place, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", place):
            continue
        target = (document.parent / place).resolve() if place else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_lead_somewhere(document: Path) -> None:
    assert list(broken_links(document)) == []


def test_the_picture_of_the_demo_loads_nothing() -> None:
    picture = (HOUSE / "docs" / "images" / "demo.svg").read_text(encoding="utf-8")
    assert "SIMULATED" in picture
    assert not re.search(r"url\(\s*['\"]?(?!#)|@import|<script|href=", picture)


# --- tables -----------------------------------------------------------------------------------------------------------


def rows(text: str, first_cell: str) -> list[list[str]]:
    """The cells of the table rows whose first cell matches."""
    lines = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.splitlines() if line[:1] == "|"]
    return [cells for cells in lines if re.fullmatch(first_cell, cells[0])]


def test_the_table_of_errors_says_what_is_answered() -> None:
    told = {
        cells[0].strip("`"): cells for cells in rows(README.partition("## When something goes wrong")[2], r"`[a-z_]+`")
    }
    assert {kind: (row[1], row[2]) for kind, row in told.items()} == {
        kind.value: (str(REFUSALS[kind].status), str(STATUS[kind])) for kind in Kind
    }
    assert all(len(row) == 5 and row[3] and row[4] for row in told.values())


def test_a_code_that_is_not_the_name_of_its_kind_is_explained() -> None:
    others = {kind.value: refusal.code for kind, refusal in REFUSALS.items() if refusal.code != kind.value}
    told = {cells[0].strip("`"): cells[3] for cells in rows(README, r"`[a-z_]+`") if len(cells) == 5}
    assert others
    assert [kind for kind, code in others.items() if f"`{code}`" not in told[kind]] == []


def test_every_header_of_ours_is_told() -> None:
    sources = [*HOUSE.glob("gateway/proxy/*.py"), *HOUSE.glob("gateway/providers/*.py")]
    named = {name for path in sources for name in re.findall(r'"(x-tollkeeper-[a-z-]*[a-z])"', path.read_text("utf-8"))}
    assert len(named) > 8
    assert sorted(name for name in named if name not in API) == []


def test_every_metric_is_told() -> None:
    metrics = Metrics("1", lambda target: True, lambda: StorageStats(*[0] * len(fields(StorageStats))))
    counters = {family.name + ("_total" if family.type == "counter" else "") for family in metrics.collect()}
    assert counters
    assert sorted(name for name in counters if f"`{name}`" not in OPERATIONS) == []


def test_no_metric_is_told_that_there_is_not() -> None:
    metrics = Metrics("1", lambda target: True, lambda: StorageStats(*[0] * len(fields(StorageStats))))
    there = {family.name for family in metrics.collect()}
    told = set(re.findall(r"tollkeeper_[a-z_]+[a-z]", OPERATIONS + API))
    assert {name.removesuffix("_total") for name in told} - there == set()


# --- examples ---------------------------------------------------------------------------------------------------------


def test_the_settings_file_of_the_tour_is_free_of_mistakes(tmp_path: Path) -> None:
    """Its parts one after the other in one file, as somebody who follows it has them."""
    examples = [block for language, block in FENCE.findall(README) if language == "yaml"]
    file = tmp_path / "tollkeeper.yaml"
    file.write_text("\n".join(examples), encoding="utf-8")
    settings = load(file, {})
    assert settings.alerts.rules["loops"].ask
    assert settings.models["fast"].targets[1] == "openai/gpt-4o-mini"
    assert settings.providers["ollama"].kind == "ollama"


@pytest.mark.parametrize("text", [README, API, OPERATIONS], ids=["README", "api", "operations"])
def test_json_examples_are_json(text: str) -> None:
    for language, block in FENCE.findall(text):
        if language == "json":
            assert isinstance(json.loads(block), dict)
