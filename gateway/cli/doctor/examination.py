"""The order of the checks. Each says what it found and stops none of the others; what is looked at is in them."""

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from gateway.cli.doctor import books, journals, machine, outside
from gateway.cli.doctor.finding import Finding, failed, fault, ok
from gateway.core.errors import Fault
from gateway.core.keys import Secret
from gateway.settings import Settings, SettingsError, load
from gateway.storage.engine import Database, exists
from gateway.telemetry.scrub import Scrubber


async def examine(config: Path | None, environ: Mapping[str, str] = os.environ) -> AsyncIterator[Finding]:
    """Every finding, as soon as it is known; no secret is in any. Nothing is changed."""
    try:
        settings = load(config, environ)
    except SettingsError as error:
        for problem in error.problems:
            yield failed("settings", str(problem), None)
        return
    scrub = Scrubber(_secrets(settings, environ)).text
    async for finding in _examined(settings, environ):
        yield finding.scrubbed(scrub)


async def _examined(settings: Settings, environ: Mapping[str, str]) -> AsyncIterator[Finding]:
    yield _settings(settings, environ)
    for finding in (*machine.data_folder(settings, environ), *machine.certificate(settings)):
        yield finding
    yield machine.disk(settings)
    async with _opened(settings) as (db, finding):
        yield finding
        async for finding in books.check(db, settings):
            yield finding
        for finding in await journals.check(settings, db):
            yield finding
        yield await outside.prices(settings, db)
    async for finding in outside.providers(settings, environ):
        yield finding
    yield await machine.port(settings)


def _settings(settings: Settings, environ: Mapping[str, str]) -> Finding:
    from gateway.app.configured import declared_keys

    try:
        declared_keys(settings, environ)
        for provider in settings.providers.values():
            if provider.api_key is not None:
                provider.api_key.resolve(environ)
    except SettingsError as error:
        return failed("settings", "; ".join(map(str, error.problems)), "a start would fail")
    return ok("settings", str(settings.file or "no settings file, only the environment and the defaults"))


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[tuple[Database | None, Finding]]:
    """The database, if it can be worked with, and what was found about it."""
    url = settings.database.url
    finding = await books.schema(url)
    if finding.failed or not exists(url):
        yield None, finding
        return
    db = Database(url, read_only=True)
    try:
        await db.connect()
        yield db, finding
    except Fault as error:
        yield None, fault("database", error)
    finally:
        await db.close()


def _secrets(settings: Settings, environ: Mapping[str, str]) -> Iterator[Secret]:
    """All that can be looked up, so that none shows whatever quotes it."""
    from gateway.app.configured import database_secrets
    from gateway.control.signin import VARIABLE

    yield from database_secrets(settings)
    references = [provider.api_key for provider in settings.providers.values()]
    references += [key.secret for key in settings.keys.values()]
    for reference in references:
        with suppress(SettingsError):  # what is not there cannot show; `_settings` says that it is not
            if reference is not None:
                yield Secret(reference.resolve(environ))
    if environ.get(VARIABLE, "").strip():
        yield Secret(environ[VARIABLE].strip())
