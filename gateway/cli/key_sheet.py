"""Keys on a terminal: a list, one alone, a secret this once. Never a digest."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gateway.cli import when
from gateway.cli.tables import UNKNOWN, Column, console, print_facts, print_json, print_table, word
from gateway.core.keys import Key, Secret

if TYPE_CHECKING:
    from gateway.storage.key_terms import OwnTerms

_TERMS = {
    "most a call may cost, USD": "max_cost_usd",
    "budget": "budget",
    "requests a minute": "rpm",
    "tokens a minute": "tpm",
    "calls at once": "in_flight",
}
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


def print_secret(key: Key, secret: Secret, terms: "OwnTerms", as_json: bool) -> None:
    """The one time that a secret is shown."""
    if as_json:
        print_json({**_facts(key, terms), "key": secret.reveal()})
        return
    print(secret.reveal())
    # On stderr, so that the secret alone can go into a file or a variable.
    print(f"This is the secret of {key.name} ({key.id}), shown this once.", file=sys.stderr)


def print_keys(keys: Sequence[Key], terms: "Mapping[str, OwnTerms]", as_json: bool) -> None:
    """A list. `terms`: what binds each alone, by their ids."""
    if as_json:
        print_json({"items": [_facts(key, terms[key.id]) for key in keys], "next": None})
    elif not keys:
        print("There is no key. `tollkeeper key create --name NAME` makes one.")
    else:
        rows = [_row(key, when.now_us(), terms[key.id].frozen) for key in keys]
        print_table(console(), _COLUMNS, rows)


def print_key(key: Key, terms: "OwnTerms | None", as_json: bool) -> None:
    """One key alone, with what binds it alone."""
    shown = _facts(key, terms)
    if as_json:
        print_json(shown)
        return
    titles = [column.title for column in _COLUMNS]
    facts = list(zip(titles, _row(key, when.now_us(), shown["frozen"]), strict=True))
    for title, field in _TERMS.items():
        facts.append((title, UNKNOWN if shown[field] is None else str(shown[field])))
    facts.append(("labels it requires", ", ".join(key.required_labels) or UNKNOWN))
    if key.old_digest_until_us is not None:
        facts.append(("old secret good until UTC", when.shown(key.old_digest_until_us)))
    print_facts(console(), facts)


def _facts(key: Key, terms: "OwnTerms | None") -> dict[str, Any]:
    from gateway.control.keys_shown import key_facts

    return key_facts(key) if terms is None else key_facts(key, terms)


def in_force(key: Key, now_us: int) -> bool:
    return _state(key, now_us) == "in force"


def _state(key: Key, now_us: int) -> str:
    if key.revoked_us is not None:
        return "revoked"
    return "expired" if key.expires_us is not None and key.expires_us <= now_us else "in force"


def _row(key: Key, now_us: int, frozen: str | None) -> list[str]:
    state = _state(key, now_us)
    return [
        key.name,
        key.id,
        key.prefix,
        word(key.team),
        "all" if key.models is None else ", ".join(key.models),
        ", ".join(f"{name}={value}" for name, value in key.labels.items()) or UNKNOWN,
        when.shown(None if key.source == "file" else key.created_us),
        when.shown(key.expires_us),
        "frozen" if frozen is not None and state == "in force" else state,
        key.source,
    ]
