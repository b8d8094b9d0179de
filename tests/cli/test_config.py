"""`tollkeeper config check`."""

import json
from pathlib import Path
from typing import Any

from tests.cli.terminal import invoke, run

SOUND = """\
providers:
  openai: {api_key: env:OPENAI_API_KEY}
  gpu-box: {kind: vllm, base_url: "http://10.0.0.5:8000/v1"}
models:
  fast: {targets: [openai/gpt-4o-mini, gpu-box/llama-3-8b]}
prices:
  gpu-box/llama-3-8b: {usd_per_million: {input: 0.05, output: 0.20}}
keys: {ci: {secret: env:CI_KEY, team: platform}}
"""


def test_a_sound_file_has_no_mistakes(tmp_path: Path) -> None:
    file = tmp_path / "tollkeeper.yaml"
    file.write_text(SOUND)
    told = invoke(tmp_path, "config", "check", "--config", str(file), OPENAI_API_KEY="sk-1", CI_KEY="tk-ci")

    assert (told.exit_code, told.stdout, told.stderr) == (0, f"{file}: no mistakes\n", "")


def test_a_secret_that_is_not_here_is_a_note_and_no_mistake(tmp_path: Path) -> None:
    file = tmp_path / "tollkeeper.yaml"
    file.write_text(SOUND)
    told = invoke(tmp_path, "config", "check", "--config", str(file), OPENAI_API_KEY="sk-1")

    assert told.exit_code == 0
    assert told.stderr.startswith("Note: ")
    assert "CI_KEY is not set" in told.stderr


def test_every_mistake_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("providers:\n  openai: {api_key: sk-live-1}\ncache: {}\nretries: {atempts: 3}\n")
    told = run(tmp_path, "config", "check", "--config", str(file))
    lines = told.stderr.splitlines()

    assert told.returncode == 2
    assert told.stdout == ""
    assert len(lines) == 3
    assert f"{file}:2: providers.openai.api_key" in lines[0]
    assert "sk-live-1" not in told.stderr
    assert f"{file}:3: cache" in lines[1]
    assert "not in this version" in lines[1]
    assert "did you mean `attempts`?" in lines[2]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    told = invoke(tmp_path, "config", "check", "--config", str(tmp_path / "none.yaml"))

    assert told.exit_code == 2
    assert f"{tmp_path / 'none.yaml'}: cannot be read" in told.stderr


def test_no_file_at_all_works(tmp_path: Path) -> None:
    told = run(tmp_path, "config", "check", cwd=None)

    assert told.returncode == 0
    assert "no settings file" in told.stdout


def test_a_price_in_another_unit_is_told(tmp_path: Path) -> None:
    """Known fault 21: a mistake where the true price is known, a note where it may be meant."""
    file = tmp_path / "tollkeeper.yaml"
    box = "providers:\n  openai: {}\n  box: {kind: vllm, base_url: 'http://10.0.0.5/v1'}\nprices:\n"
    file.write_text(box + "  box/gpt-oss-120b: {usd_per_million: {input: 0.00000005}}\n")
    told = invoke(tmp_path, "config", "check", "--config", str(file))
    assert told.exit_code == 0
    assert "Note: prices.box/gpt-oss-120b: input at $0.00000005 per million" in told.stderr
    file.write_text(box + "  openai/gpt-4o: {usd_per_million: {input: 0.0000025}}\n")
    told = invoke(tmp_path, "config", "check", "--config", str(file))
    assert told.exit_code == 2
    assert told.stderr.startswith(f"Error: {file}:5: prices.openai/gpt-4o: input at $0.0000025")


def test_one_mistake_hides_no_other(tmp_path: Path) -> None:
    """Contract: every mistake with its line, those of providers and of several prices at once."""
    file = tmp_path / "tollkeeper.yaml"
    file.write_text(
        "providers:\n"
        "  openai: {}\n"
        "  itself: {kind: openai, base_url: 'http://localhost:4000/v1'}\n"
        "prices:\n"
        "  openai/gpt-4o: {usd_per_million: {input: 0.0000025}}\n"
        "  itself/x: {usd_per_million: {input: 0}}\n"
        "  openai/gpt-4.1: {usd_per_million: {input: 0.000002}}\n"
    )
    told = invoke(tmp_path, "config", "check", "--config", str(file))

    assert told.exit_code == 2
    places = [line.split(": ")[1:3] for line in told.stderr.splitlines()]
    assert places == [
        [f"{file}:3", "providers.itself.base_url"],
        [f"{file}:5", "prices.openai/gpt-4o"],
        [f"{file}:6", "prices.itself/x"],
        [f"{file}:7", "prices.openai/gpt-4.1"],
    ]


def test_programs_are_told_the_same(tmp_path: Path) -> None:
    file = tmp_path / "tollkeeper.yaml"

    def told() -> tuple[int, str, Any]:
        done = invoke(tmp_path, "config", "check", "--json", "--config", str(file))
        return done.exit_code, done.stderr, json.loads(done.stdout)

    file.write_text(SOUND)
    status, stderr, found = told()
    assert (status, stderr, found["ok"], found["file"], found["mistakes"]) == (0, "", True, str(file), [])
    openai, ci = found["notes"]
    assert "OPENAI_API_KEY is not set" in openai
    assert "CI_KEY is not set" in ci
    file.write_text("providers:\n  openai: {}\nretries: {atempts: 3}\n")
    status, stderr, found = told()
    assert (status, stderr, found["ok"]) == (2, "", False)
    (mistake,) = found["mistakes"]
    assert (mistake["source"], mistake["line"], mistake["setting"]) == (str(file), 3, "retries.atempts")
    assert mistake["hint"] == "did you mean `attempts`?"


def test_what_a_start_would_refuse_is_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "tollkeeper.yaml"
    file.write_text(
        "providers:\n"
        "  itself: {kind: openai, base_url: 'http://localhost:4000/v1', api_key: env:NOT_HERE}\n"
        "  openai: {api_key: env:OURS}\n"
        "  vllm: {base_url: 'http://10.0.0.5:8000/v1'}\n"
    )
    told = invoke(tmp_path, "config", "check", "--config", str(file), OURS="tk-0123456789abcdef")

    assert told.exit_code == 2
    note, itself, openai = told.stderr.splitlines()
    assert note.startswith("Note: ")
    assert f"{file}:2: providers.itself.base_url: the base URL of providers.itself leads back to this gateway" in itself
    assert f"{file}:3: providers.openai.api_key: a key that begins with tk- is one of this gateway's" in openai
    assert "tk-0123456789abcdef" not in told.stderr
