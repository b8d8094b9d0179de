"""What the commands about prices change: a price of one's own, the map in force, the cost of old calls.

How it is asked for and shown is known in `prices` and `prices_sheet`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from gateway.app.budgets import declared_budgets
from gateway.cli.prices_desk import file_prices, price_desk
from gateway.cli.prices_sheet import repriced_json
from gateway.control.repricing import SecondPricing, Timeline
from gateway.core.errors import Fault, Kind
from gateway.core.money import usd
from gateway.core.pricing import FilePrice, StoredPrice, resolved
from gateway.core.pricing.maps import MapChanges, compare
from gateway.providers.price_fetch import NEWEST, fetch_map
from gateway.providers.price_map import PriceMap, load_price_map, read_price_map
from gateway.storage.budgets import BudgetRepository
from gateway.storage.prices import PriceRepository, label_of
from gateway.storage.repricing import Period, Repricing, SecondLook

_MOST = Decimal(10) ** 9
BUNDLED = "bundled"
"""The source that stands for the map of this software."""


def stated_price(
    target: str, usd_per_million: Sequence[str], usd_per_call: str | None, free: bool, like: str | None
) -> FilePrice:
    """A price from the flags. Raises `Fault` (invalid) that names the one that is wrong."""
    rates = {}
    for pair in (pair for given in usd_per_million for pair in given.split(",")):
        bucket, equals, amount = (part.strip() for part in pair.partition("="))
        if not equals:
            hint = "write it as input=2.50"
            raise Fault(Kind.INVALID, f"{pair!r} is not BUCKET=USD", hint=hint, param="--usd-per-million")
        if bucket in rates:
            raise Fault(Kind.INVALID, f"{bucket} is stated twice", hint="leave one out", param="--usd-per-million")
        rates[bucket] = _amount(amount, "--usd-per-million")
    per_call = None if usd_per_call is None else _amount(usd_per_call, "--usd-per-call")
    return FilePrice(target, rates or None, per_call, free, like)


def _amount(text: str, option: str) -> Decimal:
    try:
        amount = usd(text)
    except Fault as fault:
        raise Fault(fault.kind, fault.message, hint="write digits and a point alone, like 2.50", param=option) from None
    if not 0 <= amount <= _MOST:
        raise Fault(Kind.INVALID, f"{text} is not from 0 to {_MOST}", param=option)
    return amount


async def store_price(
    config: Path | None, target: str, entry: FilePrice | None, since_us: int, actor: str, *, force: bool
) -> StoredPrice:
    """Set a price, or take back the one that was set. Raises `Fault` if it makes no sense or is the file's business."""
    async with price_desk(config, read_only=False) as (desk, db):
        declared = desk.settings.prices.targets.get(target)
        if declared is not None:
            place = f"line {declared.line}" if declared.line else None
            raise Fault(Kind.CONFLICT, f"the settings file declares the price of {target}", hint=place)
        desk.target(target)
        repository = PriceRepository(db)
        if entry is None:
            history = await repository.history(target)
            if not history or history[0].entry is None:
                raise Fault(Kind.NOT_FOUND, f"no price is set for {target}")
        else:
            resolved(entry, "", desk.known)
            doubt = None if force else desk.doubt(entry)
            if doubt is not None:
                hint = f"{doubt.advice}; --force sets it all the same"
                raise Fault(Kind.INVALID, doubt.sentence, hint=hint, param=f"--{doubt.param.replace('_', '-')}")
        return await repository.set(target, entry, since_us, actor)


async def take_over(
    config: Path | None, source: str | None, sha256: str | None, actor: str, *, dry_run: bool, force: bool
) -> tuple[MapChanges, str, str, bool]:
    """Read a map, hold it against the one in force, and put it in force; whether that was done, with both versions.

    Raises `Fault`: a map that cannot be read or believed is refused, and the old one stays.
    """
    source = source or NEWEST
    if source == BUNDLED and sha256 is not None:
        raise Fault(Kind.INVALID, "the bundled map is not fetched, so no digest is compared", param="--sha256")
    content = None if source == BUNDLED else await fetch_map(source, sha256)
    newer = load_price_map() if content is None else _read(content, source)
    async with price_desk(config, read_only=dry_run) as (desk, db):
        changes = compare(desk.known.prices, newer.prices, newer.refused)
        if changes.doubts and not (dry_run or force):
            message = f"the map of {source} can hardly be meant: {'; '.join(changes.doubts)}"
            raise Fault(Kind.CONFLICT, message, hint="the old one stays; --force takes it over all the same")
        taken = not dry_run and newer.version != desk.known.version
        if taken:
            await PriceRepository(db).take_over(newer.version, newer.sha256, source, content, actor)
        return changes, desk.known.version, newer.version, taken


def _read(content: bytes, source: str) -> PriceMap:
    try:
        return read_price_map(content, label_of(source))
    except Fault as fault:
        raise Fault(Kind.INVALID, fault.message, hint="the one in force stays") from None


@dataclass(slots=True)
class _Sums:
    calls: int = 0
    unknown_before: int = 0
    before_nano: int = 0
    after_nano: int = 0

    def add(self, look: SecondLook) -> None:
        assert look.after_nano is not None, "only what is known differs"
        self.calls += 1
        self.unknown_before += look.before_nano is None
        self.before_nano += look.before_nano or 0
        self.after_nano += look.after_nano

    def as_json(self) -> dict[str, Any]:
        return repriced_json(self.calls, self.unknown_before, self.before_nano, self.after_nano)


async def repriced(
    config: Path | None, since_us: int, until_us: int, target: str | None, actor: str | None
) -> dict[str, Any]:
    """What a second look at the calls of a period finds; with an actor it is written."""
    groups: dict[tuple[str | None, str | None], _Sums] = {}
    totals = _Sums()
    same = unknown = 0
    async with price_desk(config, read_only=actor is None) as (desk, db):
        recost = SecondPricing(Timeline(desk.known, file_prices(desk.settings), desk.stored), desk.providers)
        in_force = {one.name: one for one in (*await BudgetRepository(db).all(), *declared_budgets(desk.settings))}
        period, repricing = Period(since_us, until_us, target), Repricing(db, budgets=list(in_force.values()))
        reason = f"priced again with {desk.book.version}"
        pages = repricing.look(period, recost) if actor is None else repricing.apply(period, recost, actor, reason)
        async for page in pages:
            for look in page:
                unknown += look.after_nano is None
                same += look.after_nano is not None and not look.differs
                if look.differs:
                    groups.setdefault((look.target, look.price_book), _Sums()).add(look)
                    totals.add(look)
    rows = [
        {"target": name, "price_book": book, **sums.as_json()}
        for (name, book), sums in sorted(groups.items(), key=lambda group: str(group[0]))
    ]
    found = {"rows": rows, "totals": totals.as_json(), "same_calls": same, "unknown_calls": unknown}
    return {**found, "applied": actor is not None}
