"""Commands that the contract names and this version does not carry out: refused, never accepted in silence."""

from collections.abc import Callable
from typing import Annotated

import typer

from gateway.cli.frame import later

_MISSING = {
    "report": "reports",
}


def register(app: typer.Typer) -> None:
    """Add them, out of sight of `--help`; whatever follows the name is not looked at."""
    anything = {"ignore_unknown_options": True, "allow_extra_args": True}
    for name, what in _MISSING.items():
        app.command(name, hidden=True, add_help_option=False, context_settings=anything)(_refusal(what))


def _refusal(what: str) -> Callable[[list[str] | None], None]:
    def refuse(rest: Annotated[list[str] | None, typer.Argument(hidden=True)] = None) -> None:
        later(what)

    return refuse
