"""Keys on a terminal: a list, one alone, a secret this once. Never a digest."""

import sys
from collections.abc import Sequence

from gateway.cli import when
from gateway.cli.tables import UNKNOWN, Column, console, print_facts, print_json, print_table, word
from gateway.control.keys_shown import key_facts
from gateway.core.keys import Key, Secret

_COLUMNS = (
    Column("name"),
    Column("id", 90),
    Column("begins with", 40),
    Column("team", 80),
    Column("models", 50),
    Column("labels", 30),
    Column("created UTC", 20),
    Column("expires UTC", 60),
    Column("state", 70),
    Column("from", 10),
)


def print_secret(key: Key, secret: Secret, as_json: bool) -> None:
    """The one time that a secret is shown."""
    if as_json:
        print_json({**key_facts(key), "key": secret.reveal()})
        return
    print(secret.reveal())
    # On stderr, so that the secret alone can go into a file or a variable.
    print(f"This is the secret of {key.name} ({key.id}), shown this once.", file=sys.stderr)


def print_keys(keys: Sequence[Key], as_json: bool) -> None:
    """A list."""
    if as_json:
        print_json({"items": [key_facts(key) for key in keys], "next": None})
    elif not keys:
        print("There is no key. `tollkeeper key create --name NAME` makes one.")
    else:
        print_table(console(), _COLUMNS, [_row(key, when.now_us()) for key in keys])


def print_key(key: Key, as_json: bool) -> None:
    """One key alone."""
    if as_json:
        print_json(key_facts(key))
        return
    titles = [column.title for column in _COLUMNS]
    facts = list(zip(titles, _row(key, when.now_us()), strict=True))
    if key.old_digest_until_us is not None:
        facts.append(("old secret good until UTC", when.shown(key.old_digest_until_us)))
    print_facts(console(), facts)


def in_force(key: Key, now_us: int) -> bool:
    return _state(key, now_us) == "in force"


def _state(key: Key, now_us: int) -> str:
    if key.revoked_us is not None:
        return "revoked"
    return "expired" if key.expires_us is not None and key.expires_us <= now_us else "in force"


def _row(key: Key, now_us: int) -> list[str]:
    return [
        key.name,
        key.id,
        key.prefix,
        word(key.team),
        "all" if key.models is None else ", ".join(key.models),
        ", ".join(f"{name}={value}" for name, value in key.labels.items()) or UNKNOWN,
        when.shown(None if key.source == "file" else key.created_us),
        when.shown(key.expires_us),
        _state(key, now_us),
        key.source,
    ]
