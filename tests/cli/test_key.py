"""`tollkeeper key`: every verb, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.core.keys import digest
from tests.cli.terminal import invoke, run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    assert invoke(tmp_path, "db", "upgrade").exit_code == 0
    return tmp_path


def shown(data: Path, key: str, *more: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(invoke(data, "key", "show", key, "--json", *more).stdout)
    return facts


def test_create_prints_the_secret_alone_on_stdout(data: Path) -> None:
    made = run(data, "key", "create", "--name", "ci", "--team", "platform")
    secret = made.stdout.strip()

    assert made.returncode == 0
    assert secret.startswith("tk-")
    assert len(secret) > 40
    assert "shown this once" in made.stderr
    assert shown(data, "ci")["prefix"] == secret[:9]


def test_a_key_keeps_what_it_was_made_with(data: Path) -> None:
    made = invoke(
        data, "key", "create", "--name", "ci", "--team", "platform", "--model", "gpt-4o*", "--model", "fast",
        "--label", "env=prod", "--label", "app=x=y", "--expires", "30d", "--require-label", "feature",
        "--require-label", "session", "--max-cost", "0.05", "--json",
    )  # fmt: skip
    told = json.loads(made.stdout)
    kept = shown(data, told["id"])

    assert told.pop("key").startswith("tk-")
    assert kept == told
    assert (kept["name"], kept["team"], kept["models"]) == ("ci", "platform", ["gpt-4o*", "fast"])
    assert kept["labels"] == {"env": "prod", "app": "x=y"}
    assert (kept["required_labels"], kept["max_cost_usd"]) == (["feature", "session"], "0.050000000")
    assert "feature, session" in invoke(data, "key", "show", "ci").stdout
    assert kept["expires_at"] > kept["created_at"]
    assert kept["source"] == "admin"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--expires", "soon"),
        ("--expires", "2020-01-01"),
        ("--label", "prod"),
        ("--label", "=prod"),
        ("--label", "env="),
        ("--require-label", "a b"),
        ("--max-cost", "0"),
        ("--max-cost", "cheap"),
        ("--model", "a b"),
        ("--model", "*a"),
        ("--team", ""),
        ("--name", "-ci"),
        ("--name", "x" * 65),
    ],
)
def test_what_makes_no_sense_is_refused_by_the_options_name(option: str, value: str, data: Path) -> None:
    name = () if option == "--name" else ("--name", "ci")
    told = invoke(data, "key", "create", *name, option, value)

    assert told.exit_code == 2
    assert told.stderr.startswith(f"Error: {option}: ")
    assert json.loads(invoke(data, "key", "list", "--json").stdout)["items"] == []


def test_a_name_is_given_once(data: Path) -> None:
    invoke(data, "key", "create", "--name", "ci")
    told = invoke(data, "key", "create", "--name", "ci")

    assert told.exit_code == 1
    assert told.stdout == ""
    assert told.stderr.startswith("Error: --name: there is a key named ci already")


@pytest.mark.parametrize("verb", ["show", "revoke", "rotate"])
def test_an_unknown_key_is_named(verb: str, data: Path) -> None:
    told = invoke(data, "key", verb, "nobody")

    assert told.exit_code == 1
    assert "there is no key nobody" in told.stderr
    assert "tollkeeper key list" in told.stderr


def test_a_revoked_key_leaves_the_list_and_stays_on_record(data: Path) -> None:
    invoke(data, "key", "create", "--name", "ci")
    told = invoke(data, "key", "revoke", "ci")

    assert told.exit_code == 0
    assert "ci" not in invoke(data, "key", "list").stdout
    assert "revoked" in invoke(data, "key", "list", "--all").stdout
    assert shown(data, "ci")["revoked_at"] is not None
    assert invoke(data, "key", "rotate", "ci").exit_code == 1


def test_revoking_again_says_since_when_it_is_revoked(data: Path) -> None:
    invoke(data, "key", "create", "--name", "ci")
    first = invoke(data, "key", "revoke", "ci")
    revoked_at = shown(data, "ci")["revoked_at"]
    again = invoke(data, "key", "revoke", "ci")

    assert first.stdout.startswith("revoked ci (")
    assert again.exit_code == 0
    assert "was revoked already, at " + revoked_at[:19].replace("T", " ") + " UTC" in again.stdout
    assert shown(data, "ci")["revoked_at"] == revoked_at
    assert json.loads(invoke(data, "key", "revoke", "ci", "--json").stdout)["revoked_at"] == revoked_at


def test_rotate_prints_another_secret_and_keeps_the_old_one_for_its_grace(data: Path) -> None:
    first = invoke(data, "key", "create", "--name", "ci").stdout.strip()
    second = invoke(data, "key", "rotate", "ci", "--grace", "24h").stdout.strip()
    with_grace = shown(data, "ci")
    third = invoke(data, "key", "rotate", "ci").stdout.strip()
    at_once = shown(data, "ci")

    assert len({first, second, third}) == 3
    assert with_grace["old_secret_until"] is not None
    assert at_once["old_secret_until"] is None
    assert at_once["prefix"] == third[:9]


@pytest.mark.parametrize("grace", ["soon", "24", "1y", "-1h", ""])
def test_a_grace_that_is_no_duration_changes_nothing(grace: str, data: Path) -> None:
    secret = invoke(data, "key", "create", "--name", "ci").stdout.strip()
    told = invoke(data, "key", "rotate", "ci", "--grace", grace)

    assert told.exit_code == 2
    assert "--grace" in told.stderr
    assert shown(data, "ci")["prefix"] == secret[:9]


def test_keys_of_the_file_are_shown_beside_the_others_and_changed_there_only(data: Path) -> None:
    file = data / "tollkeeper.yaml"
    file.write_text("keys:\n  nightly: {secret: env:NIGHTLY_KEY, team: platform}\n")
    config = ("--config", str(file))
    listed = json.loads(invoke(data, "key", "list", "--json", *config).stdout)["items"]

    assert [(key["name"], key["team"], key["source"]) for key in listed] == [("nightly", "platform", "file")]
    assert shown(data, "nightly", *config)["id"] == "file:nightly"
    assert listed[0]["created_at"] is None
    assert "1970" not in invoke(data, "key", "list", *config).stdout
    for verb in ("revoke", "rotate"):
        told = invoke(data, "key", verb, "nightly", *config)
        assert told.exit_code == 1
        assert "settings file" in told.stderr
    assert invoke(data, "key", "create", "--name", "nightly", *config).exit_code == 1


def test_neither_a_secret_nor_its_digest_is_ever_listed(data: Path) -> None:
    secret = invoke(data, "key", "create", "--name", "ci").stdout.strip()
    everything = "".join(
        invoke(data, "key", *verb, *form).output for verb in (("list",), ("show", "ci")) for form in ((), ("--json",))
    )

    assert secret not in everything
    assert digest(secret) not in everything


def test_an_empty_list_says_how_to_begin(data: Path) -> None:
    assert "tollkeeper key create" in invoke(data, "key", "list").stdout


TERMS = ("budget", "rpm", "tpm", "in_flight")


def test_a_keys_own_limit_and_budget_are_read_back(data: Path) -> None:
    """Known fault 34: a budget given at the creation of a key was silently not stored."""
    made = invoke(
        data, "key", "create", "--name", "ci", "--budget", "5.00/month", "--rpm", "60", "--tpm", "9000",
        "--in-flight", "4", "--json",
    )  # fmt: skip
    told = json.loads(made.stdout)
    assert [told[field] for field in TERMS] == ["5.000000000/month", 60, 9000, 4]
    assert [shown(data, "ci")[field] for field in TERMS] == ["5.000000000/month", 60, 9000, 4]
    (listed,) = json.loads(invoke(data, "key", "list", "--json").stdout)["items"]
    assert listed == shown(data, "ci")
    assert "5.000000000/month" in invoke(data, "key", "show", "ci").stdout
    assert json.loads(invoke(data, "key", "rotate", "ci", "--json").stdout)["rpm"] == 60
    assert "key:ci" in invoke(data, "budget", "list").stdout
    invoke(data, "key", "revoke", "ci")
    assert [shown(data, "ci")[field] for field in TERMS] == [None] * 4
    assert "key:ci" not in invoke(data, "budget", "list").stdout


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--budget", "5"),
        ("--budget", "5/fortnight"),
        ("--budget", "0/month"),
        ("--budget", "five/month"),
        ("--rpm", "0"),
        ("--rpm", "1.5"),
        ("--tpm", "x"),
        ("--in-flight", "10000000"),
    ],
)
def test_a_limit_that_is_none_is_refused(option: str, value: str, data: Path) -> None:
    told = invoke(data, "key", "create", "--name", "ci", option, value)
    assert told.exit_code == 2
    assert told.stderr.startswith(f"Error: {option}: ")
    assert json.loads(invoke(data, "key", "list", "--json").stdout)["items"] == []


def test_the_files_keys_show_the_files_terms_and_its_budgets_are_read_only(data: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(
        "keys:\n  web: {secret: env:WEB, budget: 2/day, rpm: 7, max_cost_usd: 0.1, required_labels: [team]}\n"
    )
    web = shown(data, "web", "--config", str(config))
    assert [web[field] for field in TERMS] == ["2.000000000/day", 7, None, None]
    assert (web["max_cost_usd"], web["required_labels"]) == ("0.100000000", ["team"])
    refused = invoke(data, "budget", "set", "key:web", "--limit", "9", "--config", str(config))
    assert refused.exit_code == 1
    assert "c.yaml, line 2" in refused.stderr
