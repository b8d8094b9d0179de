"""What comes with later versions is refused by name."""

from pathlib import Path

import pytest

from tests.cli.terminal import invoke


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        (("report", "--period", "2026-10"), "reports"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else None,
)
def test_it_is_refused_and_never_accepted_in_silence(command: tuple[str, ...], missing: str, tmp_path: Path) -> None:
    told = invoke(tmp_path, *command)

    assert told.exit_code == 2
    assert told.stderr == f"Error: {missing} are not in this version\n"


def test_it_does_not_clutter_the_help(tmp_path: Path) -> None:
    assert "report" not in invoke(tmp_path, "--help").output
