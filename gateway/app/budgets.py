"""From settings to the budgets that the file declares. Light: the command line reads it too."""

from collections.abc import Mapping

from gateway.core.budgets import Budget, Exhausted, Mode
from gateway.core.keys import own
from gateway.core.money import to_nano
from gateway.core.scopes import of_key, scope_of
from gateway.core.windows import Window
from gateway.settings import BudgetSettings, Settings


def declared_budgets(settings: Settings) -> tuple[Budget, ...]:
    """In the order of the file. A key's own is named `key:NAME`, which no other budget is."""
    of_keys = [
        Budget(own(name), to_nano(given.budget[0]), Window(given.budget[1]), scope=of_key(name), source="file")
        for name, given in settings.keys.items()
        if given.budget is not None
    ]
    return (*(_budget(name, given) for name, given in settings.budgets.named.items()), *of_keys)


def budget_places(settings: Settings) -> dict[str, str | None]:
    """Which budgets the file declares, and where: `tollkeeper.yaml, line 12`."""
    of_keys = {own(name): given.line for name, given in settings.keys.items() if given.budget is not None}
    return places(settings, {name: given.line for name, given in settings.budgets.named.items()} | of_keys)


def places(settings: Settings, lines: Mapping[str, int | None]) -> dict[str, str | None]:
    """Where the file says something: `tollkeeper.yaml, line 12`."""
    return {
        name: f"{settings.file.name}, line {line}" if settings.file and line else None for name, line in lines.items()
    }


def _budget(name: str, given: BudgetSettings) -> Budget:
    return Budget(
        name,
        to_nano(given.limit_usd),
        Window(given.window),
        given.timezone,
        Mode(given.mode),
        scope_of(given.scope),
        given.alert_at,
        Exhausted(given.on_exhausted),
        given.downgrade_to,
        given.unpriced == "allow",
        source="file",
    )
