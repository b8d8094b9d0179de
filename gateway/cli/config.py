"""`tollkeeper config`: whether the settings file says what it means."""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.cli.frame import Config, group, read_settings
from gateway.core.errors import Fault, Kind

if TYPE_CHECKING:
    from gateway.settings import Settings
    from gateway.settings.problems import Problem

app = group("The settings file.")


@app.callback()
def _noun() -> None:
    # Keeps `config check` a verb of its noun: a group with one command would melt into it.
    pass


@app.command("check")
def check(config: Config = None) -> None:
    """Name every mistake in the settings with its line.

    Exits 2 if there is one.
    """
    from gateway.settings import SettingsError

    settings = read_settings(config)
    secrets = [provider.api_key for provider in settings.providers.values() if provider.api_key is not None]
    secrets += [key.secret for key in settings.keys.values()]
    for secret in secrets:
        try:
            secret.resolve(os.environ)
        except SettingsError as error:
            # No mistake of the file: where it is checked need not be where it serves.
            print(f"Note: {error}", file=sys.stderr)
    if problems := list(_provider_problems(settings)):
        raise SettingsError(problems)
    _check_prices(settings)
    where = settings.file or "no settings file, only the environment and the defaults"
    print(f"{where}: no mistakes")


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


def _check_prices(settings: "Settings") -> None:
    """Raises `Fault` (invalid) for a price that can hardly be meant where its true one is known, as the server does."""
    from gateway.cli.prices_desk import file_prices, providers_of
    from gateway.core.pricing import PriceBook
    from gateway.core.pricing.doubts import doubt_of
    from gateway.providers.catalog import KINDS
    from gateway.providers.price_map import load_price_map

    stated = file_prices(settings)
    if not stated:
        return
    known, providers = load_price_map(), providers_of(settings)
    PriceBook(known, stated)
    for entry in stated:
        doubt = doubt_of(entry, providers.get(entry.target_pattern.partition("/")[0]), known, KINDS)
        if doubt is not None and doubt.sure:
            line = settings.prices.targets[entry.target_pattern].line
            place = f"{settings.file}, line {line}" if settings.file and line else None
            raise Fault(Kind.INVALID, doubt.sentence, hint=place, param=f"prices.{entry.target_pattern}")
        if doubt is not None:
            print(f"Note: prices.{entry.target_pattern}: {doubt.sentence}", file=sys.stderr)
