"""`tollkeeper key`: virtual keys, from the making of the secret to its end."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import when
from gateway.cli.actor import actor
from gateway.cli.frame import AsJson, Config, group, opened, read_settings, run
from gateway.cli.key_sheet import in_force, print_key, print_keys, print_secret
from gateway.cli.key_terms import stated_terms, terms_of
from gateway.control import times
from gateway.core.errors import Fault, Kind
from gateway.core.keys import Key, Secret, digest
from gateway.core.money import to_nano

if TYPE_CHECKING:
    from gateway.settings import Settings
    from gateway.storage.key_terms import OwnTerms

app = group("Virtual keys: who may call, and in whose name.")

# As the admin API takes them.
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_MODEL = re.compile(r"[!-)+-~]{0,199}[!-~]")
_LABEL_CHARACTERS = 256

KeyName = Annotated[str, typer.Argument(metavar="KEY", help="The key's id or name.")]


@app.command("create")
def create(
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Unique among the keys in force.")],
    team: Annotated[
        str | None, typer.Option("--team", metavar="NAME", help="The team that its calls count for.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="NAME", help="A model it may ask for, `gpt-4o*` too; repeatable. Else all."),
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="TIME", help="When it ends: 30d, 2026-12-31.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="K=V", help="A label of its calls; repeatable.")
    ] = None,
    require_label: Annotated[
        list[str] | None,
        typer.Option("--require-label", metavar="NAME", help="A label that its calls must carry; repeatable."),
    ] = None,
    max_cost: Annotated[
        str | None, typer.Option("--max-cost", metavar="USD", help="The most that one call may cost.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="USD/WINDOW", help="What its calls may cost: 5.00/month.")
    ] = None,
    rpm: Annotated[str | None, typer.Option("--rpm", metavar="N", help="Its requests a minute.")] = None,
    tpm: Annotated[str | None, typer.Option("--tpm", metavar="N", help="Its tokens a minute.")] = None,
    in_flight: Annotated[str | None, typer.Option("--in-flight", metavar="N", help="Its calls at once.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print its secret, this once."""
    from gateway.control import minting
    from gateway.control.budget_terms import limit_of

    secret = minting.new_secret()
    now = when.now_us()
    key = minting.new_key(
        secret,
        _name(name, "--name"),
        now,
        team=None if team is None else _name(team, "--team"),
        models=tuple(_model(one) for one in model) if model else None,
        labels=_labels(label or []),
        expires_us=None if expires is None else when.coming_us(expires, "--expires", now),
        max_cost_nano=None if max_cost is None else limit_of(max_cost, "--max-cost"),
        required_labels=tuple(_name(one, "--require-label") for one in require_label or ()),
    )
    terms = stated_terms(key.name, now, budget=budget, rpm=rpm, tpm=tpm, in_flight=in_flight)
    print_secret(key, secret, run(_add(config, key, terms)), as_json)


async def _add(config: Path | None, key: Key, terms: "OwnTerms") -> "OwnTerms":
    """What binds it alone, as it was stored."""
    from gateway.storage.keys import KeyRepository

    taken = [file_key.name for file_key in _file_keys(read_settings(config))]
    if key.name in taken:
        raise Fault(Kind.CONFLICT, f"the settings file declares a key {key.name} already", hint="take another name")
    async with opened(config, read_only=False) as db:
        try:
            await KeyRepository(db).add(key, actor(), terms)
            return (await KeyRepository(db).terms([key]))[key.id]
        except Fault as fault:
            option = "--name" if fault.param == "name" else fault.param
            raise Fault(fault.kind, fault.message, hint=fault.hint, param=option) from None


@app.command("list")
def list_keys(
    everything: Annotated[bool, typer.Option("--all", help="Revoked and expired ones too.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List the keys in force, those of the settings file too."""
    keys, terms = run(_all(config))
    print_keys([key for key in keys if everything or in_force(key, when.now_us())], terms, as_json)


@app.command("show")
def show(key: KeyName, config: Config = None, as_json: AsJson = False) -> None:
    """Show one key; never its secret."""
    found, terms = run(_find(config, key))
    print_key(found, terms, as_json)


@app.command("revoke")
def revoke(key: KeyName, config: Config = None, as_json: AsJson = False) -> None:
    """End a key for good, with its own limit and budget.

    That holds everywhere within 2 seconds.
    """
    now = when.now_us()
    revoked = run(_revoke(config, key, now))
    if as_json:
        print_key(revoked, None, as_json)
    elif revoked.revoked_us == now:
        print(f"revoked {revoked.name} ({revoked.id})")
    else:
        print(f"{revoked.name} ({revoked.id}) was revoked already, at {when.shown(revoked.revoked_us)} UTC")


@app.command("rotate")
def rotate(
    key: KeyName,
    grace: Annotated[
        str | None,
        typer.Option("--grace", metavar="TIME", help="How long the old secret stays good, 24h; else it ends at once."),
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Give a key a new secret and print it, this once."""
    from gateway.control import minting

    until = None if grace is None else when.now_us() + times.duration_us(grace, "--grace")
    secret = minting.new_secret()
    rotated, terms = run(_rotate(config, key, secret, until))
    print_secret(rotated, secret, terms, as_json)


async def _all(config: Path | None) -> "tuple[list[Key], dict[str, OwnTerms]]":
    from gateway.storage.keys import KeyRepository

    settings = read_settings(config)
    async with opened(config, read_only=True) as db:
        keys = [*await KeyRepository(db).all(), *_file_keys(settings)]
        return keys, await terms_of(db, settings, keys)


async def _find(config: Path | None, id_or_name: str) -> "tuple[Key, OwnTerms]":
    from gateway.storage.keys import KeyRepository

    settings = read_settings(config)
    async with opened(config, read_only=True) as db:
        declared = [key for key in _file_keys(settings) if id_or_name in (key.id, key.name)]
        found = await KeyRepository(db).get(id_or_name) or next(iter(declared), None)
        if found is None:
            raise Fault(Kind.NOT_FOUND, f"there is no key {id_or_name}", hint="`tollkeeper key list --all` names them")
        return found, (await terms_of(db, settings, [found]))[found.id]


async def _revoke(config: Path | None, id_or_name: str, now_us: int) -> Key:
    from gateway.storage.keys import KeyRepository

    _require_not_declared(config, id_or_name)
    async with opened(config, read_only=False) as db:
        return await KeyRepository(db).revoke(id_or_name, now_us, actor())


async def _rotate(config: Path | None, id_or_name: str, secret: Secret, until_us: int | None) -> "tuple[Key, OwnTerms]":
    from gateway.control import minting
    from gateway.storage.keys import KeyRepository

    _require_not_declared(config, id_or_name)
    async with opened(config, read_only=False) as db:
        keys = KeyRepository(db)
        shown = minting.shown_prefix(secret)
        key = await keys.rotate(id_or_name, digest(secret.reveal()), shown, until_us, actor())
        return key, (await keys.terms([key]))[key.id]


def _file_keys(settings: "Settings") -> list[Key]:
    """The keys that the settings file declares; their secrets are not looked up, only where they are."""
    return [
        Key(
            id=f"file:{name}",
            name=name,
            prefix=str(declared.secret),
            digest="",
            created_us=0,
            team=declared.team,
            models=declared.models,
            labels=declared.labels,
            expires_us=None if declared.expires_at is None else int(declared.expires_at.timestamp()) * 1_000_000,
            source="file",
            max_cost_nano=None if declared.max_cost_usd is None else to_nano(declared.max_cost_usd),
            required_labels=declared.required_labels,
        )
        for name, declared in settings.keys.items()
    ]


def _require_not_declared(config: Path | None, id_or_name: str) -> None:
    if any(id_or_name in (key.id, key.name) for key in _file_keys(read_settings(config))):
        raise Fault(Kind.CONFLICT, f"the key {id_or_name} is declared in the settings file", hint="change it there")


def _name(text: str, option: str) -> str:
    if not _NAME.fullmatch(text):
        hint = "take up to 64 letters, digits, `.`, `_` and `-`, the first and the last a letter or digit"
        raise Fault(Kind.INVALID, f"{text!r} cannot be a name", hint=hint, param=option)
    return text


def _model(text: str) -> str:
    if not _MODEL.fullmatch(text):
        hint = "take visible ASCII characters, a `*` only at the end"
        raise Fault(Kind.INVALID, f"{text!r} cannot be a model", hint=hint, param="--model")
    return text


def _labels(pairs: list[str]) -> dict[str, str]:
    labels = {}
    for pair in pairs:
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not value or len(value) > _LABEL_CHARACTERS:
            hint = f"write it as env=prod, the value up to {_LABEL_CHARACTERS} characters"
            raise Fault(Kind.INVALID, f"{pair!r} is not K=V", hint=hint, param="--label")
        labels[_name(name, "--label")] = value
    return labels
