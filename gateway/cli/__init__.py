"""The commands. Imports only what `--help` needs: whatever is heavy is imported inside a command."""

from typing import Annotated

import typer

from gateway import __version__
from gateway.cli import alerts, budget, calls, config, db, demo, doctor, key, later, prices, serve, usage
from gateway.cli.estimate import estimate
from gateway.cli.frame import Frame, group

app = group("An LLM gateway that knows what every call used, took and cost.", Frame)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"tollkeeper {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.add_typer(config.app, name="config")
app.add_typer(db.app, name="db")
app.add_typer(key.app, name="key")
app.add_typer(budget.app, name="budget")
app.command("usage")(usage.usage)
app.add_typer(calls.app, name="calls")
app.add_typer(prices.app, name="prices")
app.add_typer(alerts.app, name="alerts")
app.command("estimate")(estimate)
app.command("doctor")(doctor.doctor)
later.register(app)


def main() -> None:
    """The program `tollkeeper`."""
    app(prog_name="tollkeeper")
