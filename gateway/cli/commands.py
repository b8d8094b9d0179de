"""The commands. Imports only what `--help` needs: whatever is heavy is imported inside a command."""

from gateway.cli import alerts, budget, calls, config, db, demo, doctor, key, later, prices, serve, usage
from gateway.cli.estimate import estimate
from gateway.cli.frame import outermost

app = outermost()
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
