"""`tollkeeper doctor`: looks at all that serving calls and trusting the figures depend on, and changes nothing."""

from typing import TYPE_CHECKING

import typer

from gateway.cli.frame import FAILED, AsJson, Config, run

if TYPE_CHECKING:
    from gateway.cli.doctor.finding import Finding


def doctor(config: Config = None, as_json: AsJson = False) -> None:
    """Check that all is well, and say what to do.

    Settings, data folder, disk, database, clock, figures, keys, journal, prices, providers and port: one line each, ok,
    warning or failed. Providers are asked for their list of models, which costs
    nothing. Exits 1 if a check failed.
    """
    findings = run(_findings(config, aloud=not as_json))
    if as_json:
        _print_json(findings)
    else:
        _print_summary(findings)
    if any(finding.failed for finding in findings):
        raise typer.Exit(FAILED)


async def _findings(config: Config, *, aloud: bool) -> list["Finding"]:
    from gateway.cli.doctor.examination import examine

    findings = []
    async for finding in examine(config):
        if aloud:
            _print(finding)
        findings.append(finding)
    return findings


def _print(finding: "Finding") -> None:
    from rich.text import Text

    from gateway.cli.doctor.finding import State
    from gateway.cli.tables import console

    styles = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "bold red"}
    line = Text.assemble((f"{finding.state:<8}", styles[finding.state]), f"{finding.check}: {finding.detail}")
    if finding.advice is not None:
        line.append(f"; {finding.advice}")
    console().print(line, soft_wrap=True)


def _print_summary(findings: list["Finding"]) -> None:
    from gateway.cli.doctor.finding import State

    counts = [(sum(one.state is state for one in findings), state) for state in State]
    print(", ".join(f"{count} {state}" for count, state in counts if count))


def _print_json(findings: list["Finding"]) -> None:
    from gateway.cli.tables import print_json

    checks = [
        {"check": one.check, "state": str(one.state), "detail": one.detail, "advice": one.advice} for one in findings
    ]
    print_json({"ok": not any(one.failed for one in findings), "checks": checks})
