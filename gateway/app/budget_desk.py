"""The budgets in force, and what the control plane knows of them. Opens nothing."""

from collections.abc import Callable

from gateway.app.budgets import budget_places, declared_budgets
from gateway.control.budget_terms import Models
from gateway.control.dependencies import BudgetDesk
from gateway.settings import Settings
from gateway.storage.actions import ActionStore
from gateway.storage.budget_standings import BudgetStandings
from gateway.storage.budgets import BudgetRepository, BudgetStore
from gateway.storage.engine import Database


def budget_desk(
    settings: Settings,
    database: Database,
    actions: ActionStore,
    models: Models,
    now_us: Callable[[], int],
) -> BudgetDesk:
    """`actions`: what alert rules have lowered; `models`: what a budget may downgrade to."""
    repository = BudgetRepository(database, now_us)
    declared = declared_budgets(settings)
    return BudgetDesk(
        repository=repository,
        store=BudgetStore(repository, declared, settings.budgets.max_subjects, actions.lowered),
        standings=BudgetStandings(database, now_us),
        models=models,
        declared=declared,
        places=budget_places(settings),
    )
