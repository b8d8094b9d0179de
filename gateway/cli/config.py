"""`tollkeeper config`: whether the settings file says what it means."""

import os
import sys

from gateway.cli.frame import Config, group, read_settings

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
    where = settings.file or "no settings file, only the environment and the defaults"
    print(f"{where}: no mistakes")
