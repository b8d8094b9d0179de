"""A call as the ledger keeps it: read from its rows, written as the contract's JSON (§5)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from sqlalchemy import Row

from gateway.core.calls import Attempt, CallFacts, Charge, End, Timings
from gateway.core.money import Nano, usd_text
from gateway.core.usage import BUCKETS, Basis, Usage
from gateway.storage.corrections import Correction
from gateway.storage.moments import moment
from gateway.storage.tables import TIMINGS

_buckets = attrgetter(*BUCKETS)
_timings = attrgetter(*TIMINGS)


@dataclass(frozen=True, slots=True)
class StoredCall:
    """A call as the ledger keeps it."""

    seq: int
    """Grows in the order in which calls reached the ledger."""
    facts: CallFacts
    ended_us: int | None
    """Null for a call that was interrupted."""
    end: End
    status: int | None
    error: str | None
    cache: str
    target: str | None
    provider: str | None
    usage: Usage
    usage_basis: Basis
    cost_nano: Nano | None
    cost_at_least_nano: Nano | None
    avoided_nano: Nano
    reserve_nano: Nano
    held_nano: Nano
    price_book: str | None
    timings: Timings
    limit_lowered_to: int | None = None
    downgraded_from: str | None = None
    attempts: tuple[Attempt, ...] = ()
    """With their charges, as they were priced first; read only for a call alone (`Reports.call`)."""
    corrections: tuple[Correction, ...] = ()
    """The oldest first; `cost_nano` is that of the last. Read only for a call alone."""

    def as_json(self, alone: bool) -> dict[str, object]:
        """The call as contract §5 writes it; `alone`: with `attempts` and `charges`."""
        facts = self.facts
        call: dict[str, object] = {
            "id": facts.id,
            "started_at": moment(facts.started_us),
            "path": facts.path,
            "key": facts.key,
            "key_id": facts.key_id,
            "team": facts.team,
            "labels": dict(facts.labels),
            "session": facts.session,
            "end_user": facts.end_user,
            "model": facts.model,
            "target": self.target,
            "provider": self.provider,
            "stream": facts.stream,
            "end": str(self.end),
            "status": self.status,
            "error": self.error,
            "cache": self.cache,
            "usage": self.usage.as_dict(),
            "usage_basis": str(self.usage_basis),
            "cost_usd": usd_text(self.cost_nano),
            "cost_at_least_usd": usd_text(self.cost_at_least_nano),
            "avoided_usd": usd_text(self.avoided_nano),
            "reserve_usd": usd_text(self.reserve_nano),
            "held_usd": usd_text(self.held_nano),
            "price_book": self.price_book,
            # Only a budget lowers or downgrades, and this version has none.
            "limit_lowered_to": self.limit_lowered_to,
            "downgraded_from": self.downgraded_from,
            "timings": {name: getattr(self.timings, name) for name in TIMINGS},
        }
        if alone:
            call["attempts"] = [_attempt_json(attempt) for attempt in self.attempts]
            call["charges"] = [_charge_json(charge) for attempt in self.attempts for charge in attempt.charges]
            call["corrections"] = [_correction_json(correction) for correction in self.corrections]
        return call


def _attempt_json(attempt: Attempt) -> dict[str, object]:
    return {
        "target": attempt.target,
        "end": str(attempt.end),
        "status": attempt.status,
        "error": attempt.error,
        "started_at": moment(attempt.started_us),
        "duration_ms": attempt.duration_ms,
        "usage": attempt.usage.as_dict(),
        "usage_basis": str(attempt.usage_basis),
        "tokenizer": attempt.tokenizer,
        "raw_usage": _raw(attempt.raw_usage),
        "cost_usd": usd_text(attempt.cost_nano),
        "cost_at_least_usd": usd_text(attempt.cost_at_least_nano),
        "provider_cost_usd": usd_text(attempt.provider_cost_nano),
        "unpriced_because": attempt.unpriced_because,
        "price_book": attempt.price_book,
        "upstream_request_id": attempt.upstream_request_id,
    }


def _raw(usage: str | None) -> object:
    """The provider's usage object as an object; as text if it never was one."""
    if usage is None:
        return None
    try:
        return json.loads(usage)
    except ValueError:
        return usage


def _charge_json(charge: Charge) -> dict[str, object]:
    return {
        "attempt": charge.attempt,
        "bucket": charge.bucket,
        "quantity": charge.quantity,
        "usd_per_million": charge.usd_per_million,
        "amount_usd": usd_text(charge.amount_nano),
    }


def _correction_json(correction: Correction) -> dict[str, object]:
    return {
        "made_at": moment(correction.made_us),
        "actor": correction.actor,
        "reason": correction.reason,
        "delta_usd": usd_text(correction.delta_nano),
        "cost_usd": usd_text(correction.cost_nano),
        "price_book": correction.price_book,
    }


def stored_call(row: Row[Any], tried: tuple[Attempt, ...] = (), made: tuple[Correction, ...] = ()) -> StoredCall:
    """A call from its row of `calls`."""
    return StoredCall(
        seq=row.seq,
        facts=CallFacts(
            id=row.id,
            started_us=row.started_us,
            path=row.path,
            key_id=row.key_id,
            key=row.key,
            team=row.team,
            labels=json.loads(row.labels),
            session=row.session,
            end_user=row.end_user,
            model=row.model,
            stream=bool(row.stream),
        ),
        ended_us=row.ended_us,
        end=End(row.end),
        status=row.status,
        error=row.error,
        cache=row.cache,
        target=row.target,
        provider=row.provider,
        usage=Usage(*_buckets(row)),
        usage_basis=Basis(row.usage_basis),
        cost_nano=row.cost_nano,
        cost_at_least_nano=row.cost_at_least_nano,
        avoided_nano=row.avoided_nano,
        reserve_nano=row.reserve_nano,
        held_nano=row.held_nano,
        price_book=row.price_book,
        timings=Timings(*_timings(row)),
        limit_lowered_to=row.limit_lowered_to,
        downgraded_from=row.downgraded_from,
        attempts=tried,
        corrections=made,
    )


def stored_attempt(row: Row[Any], its_charges: Sequence[Row[Any]]) -> Attempt:
    """An attempt from its row of `attempts` and its rows of `charges`."""
    return Attempt(
        index=row.attempt,
        target=row.target,
        provider=row.provider,
        end=End(row.end),
        started_us=row.started_us,
        status=row.status,
        error=row.error,
        duration_ms=row.duration_ms,
        usage=Usage(*_buckets(row)),
        usage_basis=Basis(row.usage_basis),
        tokenizer=row.tokenizer,
        raw_usage=row.raw_usage,
        cost_nano=row.cost_nano,
        cost_at_least_nano=row.cost_at_least_nano,
        provider_cost_nano=row.provider_cost_nano,
        unpriced_because=row.unpriced_because,
        price_book=row.price_book,
        upstream_request_id=row.upstream_request_id,
        charges=tuple(
            Charge(charge.attempt, charge.bucket, charge.quantity, charge.usd_per_million, charge.amount_nano)
            for charge in its_charges
        ),
        price_conditions=row.price_conditions,
    )
