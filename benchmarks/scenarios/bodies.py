"""Large prompts: what the gateway adds to them, and how much memory it takes for them."""

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.aims import BODY_MEMORY, IMAGE_MS, PROMPT_MS
from benchmarks.load import Pairs
from benchmarks.measure import Measured, books, caught_up, load, minus, p50, p99, warm_up
from benchmarks.report import Aim, Figure
from benchmarks.setting import Scenario, Setting
from benchmarks.shape import ALIASES
from benchmarks.stage import Stage, set_up
from benchmarks.usage import forget_peak, peak_mb, resident_mb

MB = 1_000_000
PROMPT = 1 * MB
IMAGE = 20 * MB
ALIAS = ALIASES[0]
"""Asked for by a name of our own: what leaves is not what came, as with nearly every call."""
WARM_UP = 3.0
"""Seconds after which memory does not grow with each call any more."""
MEMORY = 0.2
"""Seconds of calls over which the peak of memory is taken: a few, so that it is theirs and not that of their number."""


def run(setting: Setting) -> Measured:
    out = Measured()
    with set_up(setting.cores, setting.command) as stage:
        warm_up(out, stage, min(WARM_UP, setting.seconds))
        seconds = setting.seconds / 2
        prompt = Pairs(stage.door, stage.direct, seconds, prompt=PROMPT, model=ALIAS)
        image = Pairs(stage.door, stage.direct, seconds, image=IMAGE, model=ALIAS)
        out.figures += _body(out, stage, prompt, "prompt", PROMPT_MS)
        out.figures += _body(out, stage, image, "image", IMAGE_MS)
        out.figures += books(out, stage.place)
    return out


def _body(out: Measured, stage: Stage, job: Pairs, key: str, aim: Aim) -> Iterator[Figure]:
    size = (job.prompt + job.image) // MB
    caught_up(stage.place)  # calls that wait for the ledger are memory too, but not this call's
    before = resident_mb(stage.pid) if forget_peak(stage.pid) else None
    load(out, stage, replace(job, seconds=MEMORY), f"{size} MB")
    grown = minus(peak_mb(stage.pid), before)
    loaded = load(out, stage, job, f"{size} MB")
    ours, direct = loaded.seen.whole, loaded.beside.whole if loaded.beside else None
    yield Figure(
        f"{key}_added_p50_ms", f"added to a call with {size} MB of {key}, p50", minus(p50(ours), p50(direct)), "ms", aim
    )
    yield Figure(f"{key}_added_p99_ms", "  p99", minus(p99(ours), p99(direct)), "ms")
    yield Figure(f"{key}_direct_p50_ms", "  the same past the gateway, p50", p50(direct), "ms")
    ratio = None if grown is None else grown / size
    yield Figure(f"{key}_memory", "  memory at its peak, above that before", ratio, "bodies", BODY_MEMORY)
    yield Figure(f"{key}_pairs", "  pairs of calls", loaded.seen.answers, "")


SCENARIO = Scenario("bodies", "Calls with large bodies, beside the same past the gateway", run, seconds=20)
