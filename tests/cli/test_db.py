"""`tollkeeper db`."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from gateway.storage.migrate import known_revisions
from tests.cli.terminal import invoke, run
from tests.databases import operator
from tests.postgres_server import PostgresServer


def key_names(data: Path) -> str:
    return invoke(data, "key", "list").stdout


def test_upgrade_makes_the_database_and_may_be_repeated(tmp_path: Path) -> None:
    data = tmp_path / "not there yet"
    before = invoke(data, "db", "current")
    made = run(data, "db", "upgrade")
    again = invoke(data, "db", "upgrade")
    now = invoke(data, "db", "current")

    assert (before.exit_code, before.stdout) == (0, "none: there is no database yet\n")
    assert made.returncode == 0
    assert made.stdout.startswith("upgraded from nothing to ")
    assert again.stdout.endswith("as before\n")
    assert now.stdout.strip() in made.stdout


def test_a_dry_run_of_an_upgrade_says_what_and_does_nothing(tmp_path: Path) -> None:
    """Known faults 86, 87: how much and how long is known before it starts; an empty one has little to go through."""
    told = invoke(tmp_path, "db", "upgrade", "--dry-run")
    assert told.exit_code == 0
    assert "The first schema" in told.stderr
    assert told.stderr.endswith(f"{len(known_revisions())} revisions to go, 0 calls, about 0 s\n")
    assert list(tmp_path.iterdir()) == []
    looked = json.loads(invoke(tmp_path, "db", "upgrade", "--dry-run", "--json").stdout)
    assert (looked["before"], looked["after"], looked["calls"]) == (None, None, 0)
    assert {step["seconds"] for step in looked["revisions"]} == {0}
    assert list(tmp_path.iterdir()) == []
    made = invoke(tmp_path, "db", "upgrade", "--json")
    assert made.stderr == ""
    assert json.loads(made.stdout) == {**looked, "after": looked["revisions"][-1]["revision"]}
    assert invoke(tmp_path, "db", "upgrade", "--dry-run").stderr == "0 revisions to go, 0 calls, about 0 s\n"


def test_check_finds_a_schema_that_departs_from_ours(tmp_path: Path) -> None:
    none = invoke(tmp_path, "db", "check")
    assert none.exit_code == 1
    assert none.stderr.startswith("Error: there is no database yet; `tollkeeper db upgrade` makes it")
    invoke(tmp_path, "db", "upgrade")
    assert invoke(tmp_path, "db", "check").exit_code == 0
    with closing(sqlite3.connect(tmp_path / "tollkeeper.db")) as db:
        db.execute("ALTER TABLE keys DROP COLUMN team")
        db.commit()
    told = invoke(tmp_path, "db", "check")

    assert told.exit_code == 1
    assert "team" in told.stdout


def test_what_is_checked_is_told_to_programs_too(tmp_path: Path) -> None:
    def told(command: str) -> tuple[int, Any]:
        done = invoke(tmp_path, "db", command, "--json")
        return done.exit_code, json.loads(done.stdout)

    _, none = told("current")
    wanted = none["wanted"]
    assert none == {"revision": None, "wanted": wanted}
    assert told("check") == (1, {"ok": False, "revision": None, "wanted": wanted, "differences": []})
    invoke(tmp_path, "db", "upgrade")
    assert told("current") == (0, {"revision": wanted, "wanted": wanted})
    assert told("check") == (0, {"ok": True, "revision": wanted, "wanted": wanted, "differences": []})
    with closing(sqlite3.connect(tmp_path / "tollkeeper.db")) as db:
        db.execute("ALTER TABLE keys DROP COLUMN team")
        db.commit()
    status, found = told("check")
    assert (status, found["ok"], len(found["differences"])) == (1, False, 1)
    assert "team" in found["differences"][0]
    with closing(sqlite3.connect(tmp_path / "tollkeeper.db")) as db:
        db.execute("UPDATE alembic_version SET version_num = 'another'")
        db.commit()
    assert told("check") == (1, {"ok": False, "revision": "another", "wanted": wanted, "differences": []})


def test_a_backup_brings_back_what_was_there(tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    invoke(tmp_path, "db", "upgrade")
    invoke(tmp_path, "key", "create", "--name", "before")
    assert run(tmp_path, "db", "backup", str(copy)).returncode == 0
    invoke(tmp_path, "key", "create", "--name", "after")
    told = run(tmp_path, "db", "restore", str(copy), "--yes")

    assert told.returncode == 0, told.stderr
    assert "before" in key_names(tmp_path)
    assert "after" not in key_names(tmp_path)


def test_nothing_is_replaced_without_being_asked(tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    invoke(tmp_path, "db", "upgrade")
    invoke(tmp_path, "db", "backup", str(copy))
    invoke(tmp_path, "key", "create", "--name", "precious")
    again = invoke(tmp_path, "db", "backup", str(copy))
    restored = invoke(tmp_path, "db", "restore", str(copy))

    assert again.exit_code == 1
    assert "exists already" in again.stderr
    assert restored.exit_code == 1
    assert "add --yes" in restored.stderr
    assert "precious" in key_names(tmp_path)


def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.db"
    wrong.write_text("no database")

    assert invoke(tmp_path, "db", "restore", str(tmp_path / "none.db")).exit_code == 1
    assert invoke(tmp_path, "db", "restore", str(wrong)).exit_code == 2
    assert invoke(tmp_path, "db", "backup", str(tmp_path / "copy.db")).exit_code == 1
    assert invoke(tmp_path, "db", "backup").exit_code == 2


def test_the_same_commands_on_postgresql(tmp_path: Path, postgres: PostgresServer) -> None:
    books = postgres.new_database()

    def told(*args: str) -> tuple[int, str]:
        done = invoke(tmp_path, *args, TOLLKEEPER_DATABASE_URL=books)
        return done.exit_code, (done.stdout or done.stderr).strip()

    assert told("db", "current") == (0, "none: there is no database yet")
    assert told("db", "check")[1].startswith("Error: there is no database yet")
    assert json.loads(told("calls", "--json")[1]) == {"items": [], "next": None}
    assert told("key", "create", "--name", "ci")[0] == 0
    status, revision = told("db", "current")
    assert (status, told("db", "check")) == (0, (0, f"at {revision}, as this version expects"))
    assert told("db", "upgrade") == (0, f"at {revision}, as before")
    assert json.loads(told("db", "check", "--json")[1]) == {
        "ok": True, "revision": revision, "wanted": revision, "differences": [],
    }  # fmt: skip
    with operator(books) as sql:
        sql.run("ALTER TABLE keys DROP COLUMN team")
    status, differences = told("db", "check")
    assert (status, "team" in differences) == (1, True)
    for command in ("backup", "restore"):
        status, refusal = told("db", command, str(tmp_path / "copy.db"))
        assert status == 2
        assert "use PostgreSQL's own pg_dump and pg_restore" in refusal
    postgres.drop(books)
