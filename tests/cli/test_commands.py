"""The program has all commands, and where one serves that one alone, which is the same then."""

import pytest
from typer.testing import CliRunner

from gateway.cli import commands, serve


@pytest.mark.parametrize(
    "words", [["serve", "--help"], ["serve", "--porz", "1"], ["serve", "--workers", "0"], ["--version"]]
)
def test_the_program_that_serves_says_the_same(words: list[str]) -> None:
    whole, alone = (CliRunner().invoke(app, words, prog_name="tollkeeper") for app in (commands.app, serve.app))
    assert (alone.exit_code, alone.output) == (whole.exit_code, whole.output)
    assert whole.output


def test_the_whole_program_has_what_the_other_has_not() -> None:
    for app, code in ((commands.app, 0), (serve.app, 2)):
        assert CliRunner().invoke(app, ["usage", "--help"]).exit_code == code
