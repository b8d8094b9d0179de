"""`tollkeeper config`: whether the settings file says what it means."""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from gateway.cli.frame import WRONG_USE, AsJson, Config, group, read_settings
from gateway.core.errors import Fault

if TYPE_CHECKING:
    from gateway.settings import Settings
    from gateway.settings.problems import Problem

app = group("The settings file.")


@app.callback()
def _noun() -> None:
    # Keeps `config check` a verb of its noun: a group with one command would melt into it.
    pass


@app.command("check")
def check(config: Config = None, as_json: AsJson = False) -> None:
    """Name every mistake in the settings with its line.

    Exits 2 if there is one.
    """
    from gateway.settings import SettingsError

    notes: list[str] = []
    file: Path | None = None
    try:
        settings = read_settings(config)
        file = settings.file
        notes += _missing_secrets(settings)
        mistakes = [*_provider_problems(settings), *_price_problems(settings, notes), *_downgrade_problems(settings)]
    except SettingsError as error:  # what cannot be read cannot be looked at any further
        mistakes = error.problems
    mistakes.sort(key=lambda mistake: (mistake.line is None, mistake.line or 0))
    if as_json:
        _print_json(file, mistakes, notes)
        raise typer.Exit(WRONG_USE if mistakes else 0)
    for note in notes:
        print(f"Note: {note}", file=sys.stderr)
    if mistakes:
        raise SettingsError(mistakes)
    print(f"{file or 'no settings file, only the environment and the defaults'}: no mistakes")


def _print_json(file: Path | None, mistakes: "list[Problem]", notes: list[str]) -> None:
    from gateway.cli.tables import print_json

    told: list[dict[str, Any]] = [
        {
            "source": one.source,
            "line": one.line,
            "setting": one.path or None,
            "message": one.message,
            "hint": one.hint,
        }
        for one in mistakes
    ]
    print_json({"ok": not mistakes, "file": None if file is None else str(file), "mistakes": told, "notes": notes})


def _missing_secrets(settings: "Settings") -> Iterator[str]:
    """No mistakes of the file: where it is checked need not be where it serves."""
    from gateway.settings import SettingsError

    secrets = [provider.api_key for provider in settings.providers.values() if provider.api_key is not None]
    for secret in [*secrets, *(key.secret for key in settings.keys.values())]:
        try:
            secret.resolve(os.environ)
        except SettingsError as error:
            yield str(error)


def _provider_problems(settings: "Settings") -> "Iterator[Problem]":
    """What a start would refuse: an address that leads back to us, a key that no header can carry or that is ours."""
    from gateway.app.configured import configured_providers
    from gateway.settings import SettingsError
    from gateway.settings.problems import Problem

    for name, given in settings.providers.items():
        try:
            try:
                configured_providers(replace(settings, providers={name: given}), os.environ)
            except SettingsError:  # its key is not here: everything else can be looked at without
                configured_providers(replace(settings, providers={name: replace(given, api_key=None)}), os.environ)
        except Fault as fault:
            setting = (fault.param or "").removeprefix(f"providers.{name}.")
            path = ".".join(part for part in ("providers", name, setting) if part)
            yield Problem(given.line, path, fault.message, fault.hint, settings.source)


def _price_problems(settings: "Settings", notes: list[str]) -> "Iterator[Problem]":
    """Prices that make no sense, or can hardly be meant where their true one is known; others become notes."""
    from gateway.cli.prices_desk import file_prices, providers_of
    from gateway.core.pricing import resolved
    from gateway.core.pricing.doubts import doubt_of
    from gateway.providers.catalog import KINDS
    from gateway.providers.price_map import load_price_map
    from gateway.settings.problems import Problem

    stated = file_prices(settings)
    if not stated:
        return
    known, providers = load_price_map(), providers_of(settings)
    for entry in stated:
        path, line = f"prices.{entry.target_pattern}", settings.prices.targets[entry.target_pattern].line
        try:
            resolved(entry, "", known)
        except Fault as fault:
            yield Problem(line, path, fault.message, fault.hint, settings.source)
            continue
        doubt = doubt_of(entry, providers.get(entry.target_pattern.partition("/")[0]), known, KINDS)
        if doubt is not None and doubt.sure:
            yield Problem(line, path, doubt.sentence, doubt.advice, settings.source)
        elif doubt is not None:
            notes.append(f"{path}: {doubt.sentence}")


def _downgrade_problems(settings: "Settings") -> "Iterator[Problem]":
    """Calls that are moved to a model that cannot answer them."""
    stated = [budget.downgrade_to for budget in settings.budgets.named.values()]
    if not any([*stated, *(rule.downgrade_to for rule in settings.alerts.rules.values())]):
        return
    from gateway.app.configured import aliases_of
    from gateway.app.downgrades import downgrade_problems
    from gateway.cli.prices_desk import file_prices, providers_of
    from gateway.core.pricing import PriceBook
    from gateway.providers.price_map import load_price_map

    providers = providers_of(settings)
    try:
        prices = PriceBook(load_price_map(), file_prices(settings))
    except Fault:
        return  # of prices that make no sense another look tells
    yield from downgrade_problems(settings, providers, aliases_of(settings, providers), prices)
