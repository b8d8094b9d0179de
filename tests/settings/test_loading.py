"""Which file, in which order, and all mistakes at once."""

import hashlib
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.settings import SettingsError, later, load
from tests.settings.conftest import Mistakes, Read

CONTRACT = """\
server:    {host: 127.0.0.1, port: 4000, keys: optional, data: FOLDER, tls: {cert: F, key: G}, buffer_answers: 8MiB, max_body: 64MiB, metrics: token, allowed_origins: []}
database:  {url: "sqlite+aiosqlite:///x.db", journal: FOLDER, journal_sync: interval, journal_max: 1GiB}
providers:
  openai:   {api_key: env:OPENAI_API_KEY}
  claude:   {kind: anthropic, api_key: env:ANTHROPIC_API_KEY}
  gpu-box:  {kind: vllm, base_url: "http://10.0.0.5:8000/v1"}
models:
  fast:  {targets: [openai/gpt-4o-mini, gpu-box/llama-3-8b], strategy: ordered}
retries:   {attempts: 3, timeout: 600s, connect_timeout: 5s, first_byte_timeout: 300s, idle_timeout: 300s, uncertain: fail}
prices:
  gpu-box/llama-3-8b: {usd_per_million: {input: 0.05, output: "0.20"}}
  claude/*: {like: openai}
  on_unknown: record
keys:      {ci: {secret: env:CI_KEY, team: platform, models: [fast, "openai/*"], labels: {env: prod}, expires_at: 2027-01-31T00:00:00Z}}
alerts:    {channels: {ops: {webhook: "https://h/x?y", secret: env:HOOK_SECRET, allow_private: false}, slack: {apprise: env:SLACK_URL}}}
logging:   {format: json, prompts: off}
"""  # noqa: E501 - as the contract writes it


def test_every_setting_of_this_version_is_read(read: Read, tmp_path: Path) -> None:
    settings = read(CONTRACT)
    assert settings.server.tls is not None
    assert settings.server.tls.key == tmp_path / "G"
    assert settings.server.keys == "optional"
    assert settings.server.buffer_answers == 8 * 2**20
    assert settings.database.journal_max == 2**30
    assert settings.providers["claude"].kind == "anthropic"
    assert str(settings.providers["openai"].api_key) == "env:OPENAI_API_KEY"
    assert settings.retries.timeout == 600.0
    assert settings.prices.targets["gpu-box/llama-3-8b"].usd_per_million == {
        "input": Decimal("0.05"),
        "output": Decimal("0.20"),
    }
    key = settings.keys["ci"]
    assert (key.team, key.models, key.labels) == ("platform", ("fast", "openai/*"), {"env": "prod"})
    assert (key.expires_at, key.line) == (datetime(2027, 1, 31, tzinfo=UTC), 14)
    ops, slack = settings.alerts.channels["ops"], settings.alerts.channels["slack"]
    assert (ops.webhook, str(ops.secret), ops.allow_private) == ("https://h/x?y", "env:HOOK_SECRET", False)
    assert (slack.webhook, str(slack.apprise)) == (None, "env:SLACK_URL")
    assert settings.logging.prompts == "off"


def test_json_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"server": {"port": 4100}, "prices": {"on_unknown": "refuse"}}', encoding="utf-8")
    settings = load(file, {})
    assert (settings.server.port, settings.prices.on_unknown) == (4100, "refuse")


def test_the_file_is_named_by_argument_then_variable_then_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, port in (("argument", 1), ("variable", 2), ("tollkeeper.yaml", 3)):
        (tmp_path / name).write_text(f"server: {{port: {port}}}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    environ = {"TOLLKEEPER_CONFIG": "variable"}
    assert load(Path("argument"), environ).server.port == 1
    assert load(None, environ).server.port == 2
    assert load(None, {"TOLLKEEPER_CONFIG": ""}).server.port == 3
    (tmp_path / "tollkeeper.yaml").unlink()
    without = load(None, {})
    assert (without.server.port, without.file, without.file_digest) == (4000, None, None)


def test_the_settings_know_the_file_that_they_come_from(read: Read, tmp_path: Path) -> None:
    settings = read("server: {port: 1}")
    assert settings.file == tmp_path / "tollkeeper.yaml"
    assert settings.source == str(settings.file)
    assert settings.file_digest == hashlib.sha256(b"server: {port: 1}").hexdigest()


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file or directory; name another with --config"):
        load(tmp_path / "nothing.yaml", {})


def test_all_mistakes_are_told_at_once_by_line(mistakes: Mistakes, tmp_path: Path) -> None:
    text = "server:\n  prot: 1\n  port: 2\n  port: 3\nlogging: {prompts: on}\nretries: {attempts: 0}\nprviders: {}\n"
    problems = mistakes(text, {"TOLLKEEPER_NOTHING": "x"})
    file = tmp_path / "tollkeeper.yaml"
    assert [(problem.source, problem.line, problem.path) for problem in problems] == [
        (str(file), 2, "server.prot"),
        (str(file), 4, "server.port"),
        (str(file), 5, "logging.prompts"),
        (str(file), 6, "retries.attempts"),
        (str(file), 7, "prviders"),
        ("TOLLKEEPER_NOTHING", None, ""),
    ]
    assert str(problems[0]) == f"{file}:2: server.prot: `prot` is not a setting; did you mean `port`?"
    assert problems[4].hint == "did you mean `providers`?"


@pytest.mark.parametrize("path", later())
def test_what_comes_later_is_refused_as_that(path: str, mistakes: Mistakes) -> None:
    *above, leaf = path.replace("NAME", "one").split(".")
    text = "".join(f"{'  ' * depth}{key}:\n" for depth, key in enumerate(above)) + f"{'  ' * len(above)}{leaf}: x\n"
    told = [problem for problem in mistakes(text) if problem.path == ".".join((*above, leaf))]
    assert [problem.line for problem in told] == [len(above) + 1]
    assert told[0].message.endswith(" not in this version")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: {m: {targets: [openai/a], strategy: weighted}}", "strategy weighted is not in this version"),
        ("models: {m: {targets: [{target: openai/a, weight: 3}]}}", "weights are not in this version"),
        ("logging: {prompts: on}", "storing prompts is not in this version"),
    ],
)
def test_values_that_come_later_are_refused_as_that(text: str, said: str, mistakes: Mistakes) -> None:
    [problem] = mistakes(text, {"OPENAI_API_KEY": "k"})
    assert problem.message == said
    assert problem.line == 1


def test_a_database_address_may_be_a_reference(read: Read, tmp_path: Path) -> None:
    environ = {"DB": "sqlite+aiosqlite:////x/t.db"}
    assert read("database: {url: env:DB}", environ).database.url == environ["DB"]
    (tmp_path / "address").write_text(environ["DB"], encoding="utf-8")
    assert read("database: {url: file:address}").database.url == environ["DB"]


@pytest.mark.parametrize(
    "address",
    [
        "postgresql+psycopg://keeper:hunter2@h/d",
        "postgresql+psycopg:///d?host=h&password=hunter2",
        "postgresql+psycopg:///d?sslpassword=hunter2",
    ],
)
def test_a_database_address_with_a_password_is_a_secret(address: str, read: Read, mistakes: Mistakes) -> None:
    """Known fault 79: a secret is a reference, in the file and in the environment alike, and never shows."""
    [in_the_file] = mistakes(f'\ndatabase: {{url: "{address}"}}')
    [in_the_environment] = mistakes("{}", {"TOLLKEEPER_DATABASE_URL": address})
    for problem in (in_the_file, in_the_environment):
        assert problem.message == "holds a password"
        assert "hunter2" not in str(problem)
    settings = read("database: {url: env:DB}", {"DB": address})
    assert settings.database.url == address
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "the environment variable DB is not set"),
        ({"DB": "postgresql://u:hunter2@h/d"}, "is not the address of a database"),
        ({"DB": "postgresql+psycopg://u:hunter2@h"}, "must name one database"),
        ({"DB": "hunter2"}, "is not the address of a database"),
    ],
)
def test_a_reference_to_no_usable_address_is_one_mistake(
    environ: dict[str, str], said: str, mistakes: Mistakes
) -> None:
    """Known fault 79: the password in an address never shows in a message."""
    [problem] = mistakes("\ndatabase: {url: env:DB}", environ)
    assert said in problem.message
    assert (problem.line, problem.path) == (2, "database.url")
    assert "hunter2" not in str(problem)


def test_a_start_without_a_file_loads_nothing_heavy(tmp_path: Path) -> None:
    """Time to start matters for every command; what costs it is what is imported."""
    load_it = "from gateway.settings import load; load(None, {'TOLLKEEPER_SERVER_DATA': 'd'})"
    code = f"import sys; {load_it}; print(*sys.modules)"
    environ = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
    )
    assert not {"yaml", "platformdirs", "pydantic", "difflib", "asyncio"} & set(done.stdout.split())
