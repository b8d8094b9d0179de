"""From settings to the budgets that the file declares. Light: the command line reads it too."""

from gateway.core.budgets import Budget, Exhausted, Mode
from gateway.core.money import to_nano
from gateway.core.scopes import scope_of
from gateway.core.windows import Window
from gateway.settings import BudgetSettings, Settings


def declared_budgets(settings: Settings) -> tuple[Budget, ...]:
    """In the order of the file."""
    return tuple(_budget(name, given) for name, given in settings.budgets.named.items())


def budget_places(settings: Settings) -> dict[str, str | None]:
    """Which budgets the file declares, and where: `tollkeeper.yaml, line 12`."""
    return {
        name: f"{settings.file.name}, line {given.line}" if settings.file and given.line else None
        for name, given in settings.budgets.named.items()
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
