"""`tollkeeper estimate`: the calculator. Reads flags and words results; the arithmetic is `core.estimate`'s.

Each form of the calculator takes its own flags; several forms may be asked for at once.
"""

from typing import Annotated, Any

import typer

from gateway.cli.energy import GCo2PerKwh, Overhead, WhPer1k
from gateway.cli.estimate.asked import Asked
from gateway.cli.frame import AsJson, Config
from gateway.cli.tables import print_json


def _number(about: str, *flags: str) -> Any:
    return typer.Option(*flags, metavar="N", help=about)


def _count(about: str, *flags: str, least: int = 1) -> Any:
    return typer.Option(*flags, metavar="N", min=least, help=about)


def estimate(
    input_tokens: Annotated[int | None, _count("Prompt tokens of a request.", "--input", least=0)] = None,
    output_tokens: Annotated[int | None, _count("Tokens of its answer.", "--output", least=0)] = None,
    per_day: Annotated[int | None, _count("Requests a day.")] = None,
    target: Annotated[str | None, typer.Option(metavar="PROVIDER/MODEL", help="Take prices from the book.")] = None,
    input_usd_per_1k: Annotated[str | None, _number("USD for a thousand prompt tokens.")] = None,
    output_usd_per_1k: Annotated[str | None, _number("USD for a thousand tokens of answers.")] = None,
    input_usd_per_million: Annotated[str | None, _number("USD for a million prompt tokens.")] = None,
    output_usd_per_million: Annotated[str | None, _number("USD for a million tokens of answers.")] = None,
    ttft_ms: Annotated[str | None, _number("Milliseconds to the first token.")] = None,
    tpot_ms: Annotated[str | None, _number("Milliseconds for each token.")] = None,
    tokens: Annotated[int | None, _count("Tokens of the answer that is timed.")] = None,
    gpu_usd_per_hour: Annotated[str | None, _number("What an hour of the GPU costs.")] = None,
    tokens_per_second: Annotated[str | None, _number("Tokens it makes at full load.")] = None,
    utilisation: Annotated[
        str | None, _number("Its busy share of the time; 40 % is 0.4.", "--utilisation", "--utilization")
    ] = None,
    training_usd: Annotated[str | None, _number("What a fine-tuning or distillation costs.")] = None,
    saves_usd_per_request: Annotated[str | None, _number("What each request then saves.")] = None,
    wh_per_1k: WhPer1k = None,
    watts: Annotated[str | None, _number("What own hardware draws under load, all of it.")] = None,
    g_co2_per_kwh: GCo2PerKwh = None,
    overhead: Overhead = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Calculate costs, answer times, energy, what an own GPU pays.

    What requests cost, how long an answer takes, what a token costs on an own GPU, when a training has paid for itself,
    what energy generated tokens take.
    """
    given = {name: value for name, value in locals().items() if value is not None and name not in ("config", "as_json")}
    from gateway.cli.estimate import energy, forms

    asked = Asked(given, config)
    told = {
        "requests": forms.requests(asked),
        "latency": forms.latency(asked),
        "gpu": forms.gpu(asked),
        "training": forms.training(asked),
        "energy": energy.of_tokens(asked),
    }
    results = {name: result for name, result in told.items() if result is not None}
    asked.check_all_used(bool(results))
    if as_json:
        print_json({name: result.facts for name, result in results.items()})
        return
    for result in results.values():
        for label, text in result.lines.items():
            print(f"{label:<22}{text}")
