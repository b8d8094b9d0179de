"""What the calculator says of energy: from a stated range, or from what own hardware draws and makes."""

from typing import Any

from gateway.cli import energy as told
from gateway.cli.estimate.asked import Asked, Result
from gateway.cli.estimate.words import grouped, percent
from gateway.core.energy import Factors, energy
from gateway.core.errors import Fault, Kind


def of_tokens(asked: Asked) -> Result | None:
    """Of a thousand tokens, and of requests if their size is given."""
    if not asked.has("wh_per_1k", "watts"):
        return None
    factors, each = _factors(asked)
    facts: dict[str, Any] = {}
    lines: dict[str, str] = {}
    for name, tokens in _sizes(asked).items():
        found = energy(tokens, factors)
        assert found is not None, "the number of tokens is known"
        facts[name.replace(" ", "_")] = told.facts(found, factors)
        lines[f"energy {name}"] = told.words(found)
    method = facts["energy_method"] = told.method("generated tokens", each, factors)
    return Result(facts, {**lines, "energy method": method})


def _sizes(asked: Asked) -> dict[str, int]:
    """What is asked about, and how many tokens that is."""
    from gateway.core.estimate import DAYS

    sizes = {"per 1k tokens": 1000}
    output = asked.integer("output_tokens") if asked.has("output_tokens") else None
    if output is None:
        return sizes
    sizes["per request"] = output
    per_day = asked.integer("per_day")
    if per_day is not None:
        sizes |= {"per day": output * per_day, "per 30 days": output * per_day * DAYS}
    return sizes


def _factors(asked: Asked) -> tuple[Factors, str]:
    """The factors, and in words what a token takes. Raises `Fault` (invalid)."""
    stated, more = asked.text("wh_per_1k"), (asked.text("g_co2_per_kwh"), asked.text("overhead"))
    if not asked.has("watts"):
        factors = told.factors(stated, *more)
        assert factors is not None, "a range is stated"
        return factors, told.per_thousand(factors)
    if stated is not None:
        raise Fault(Kind.INVALID, "--wh-per-1k and --watts contradict each other", hint="give one of them")
    return _own(asked, *more)


def _own(asked: Asked, *more: str | None) -> tuple[Factors, str]:
    from gateway.core.estimate import own_wh_per_1k

    asked.all_of("watts", "tokens_per_second")
    watts, speed, share = asked.number("watts"), asked.number("tokens_per_second"), asked.number("utilisation", "1")
    factors = told.with_more(own_wh_per_1k(watts, speed, share), *more)
    each = f"{grouped(watts, 0, 6)} W / {grouped(speed, 0, 6)} tokens per second"
    if share < 1:
        each += f" at {percent(share)} utilisation (low: idle it draws nothing; high: idle it draws the same)"
    return factors, each
