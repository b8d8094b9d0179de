"""Calls to write into journals: one that looks like any, and strategies for all that the types allow."""

from dataclasses import replace

from hypothesis import strategies as st

from gateway.core.accounts import MOST, SUBJECT_MAX, Account, short
from gateway.core.calls import Attempt, AttemptOpened, CallFacts, CallRecord, Charge, End, Timings
from gateway.core.usage import BUCKETS, Basis, Usage

BOOK = "litellm 1.106.2 sha256:1a2b3c4d5e6f"


def a_record(call: str = "0193f0c0-0000-7000-8000-000000000000", *, attempts: int = 1) -> CallRecord:
    """A completed call as they all look."""
    facts = CallFacts(
        id=call,
        started_us=1_763_880_000_000_000,
        path="/v1/chat/completions",
        key_id="0193f0bf-ffff-7000-8000-000000000000",
        key="ci",
        team="platform",
        labels={"feature": "search", "env": "prod"},
        model="fast",
        stream=True,
    )
    tried = tuple(
        Attempt(
            index=index,
            target="openai/gpt-4o-mini",
            provider="openai",
            end=End.COMPLETED if index == attempts - 1 else End.FAILED,
            started_us=facts.started_us + 200,
            status=200,
            duration_ms=262.0,
            usage=Usage(input=200, cache_read=800, output=100),
            usage_basis=Basis.PROVIDER,
            raw_usage='{"prompt_tokens":1000,"completion_tokens":100}',
            cost_nano=1_600_000,
            price_book=BOOK,
            upstream_request_id="req_1",
            charges=(Charge(index, "input", 200, "2", 400_000), Charge(index, "output", 100, "12", 1_200_000)),
        )
        for index in range(attempts)
    )
    timings = Timings(overhead_ms=0.2, ttft_ms=151.2, duration_ms=262.0, itl_p50_ms=10.1)
    return CallRecord(facts, End.COMPLETED, 200, None, tried, timings, "off", facts.started_us + 262_000)


def an_opening(call: str = "0193f0c0-0000-7000-8000-000000000000", index: int = 0) -> AttemptOpened:
    """The begin of an attempt of `a_record`."""
    record = a_record(call)
    return AttemptOpened(
        call=record.facts,
        index=index,
        target="openai/gpt-4o-mini",
        provider="openai",
        started_us=record.facts.started_us + 200,
        price_book=BOOK,
        estimated_input=1000,
        input_usd_per_million="2",
    )


def with_texts(record: CallRecord, text: str) -> CallRecord:
    """The same call with this text wherever somebody else's text may stand."""
    facts = replace(record.facts, path=text, key=text, team=text, session=text, end_user=text, model=text)
    facts = replace(facts, labels={f"{number}{text}": text for number in range(100)})
    attempts = tuple(
        replace(
            attempt,
            target=text,
            provider=text,
            error=text,
            tokenizer=text,
            raw_usage=text,
            unpriced_because=text,
            price_book=text,
            upstream_request_id=text,
        )
        for attempt in record.attempts
    )
    return replace(record, facts=facts, attempts=attempts, error=text, downgraded_from=text)


def with_accounts(record: CallRecord) -> CallRecord:
    """The same call, counted in as many accounts as a call can be, with the longest of names."""
    worst = '"' * SUBJECT_MAX
    accounts = tuple(Account(f"{number:064}", short(worst), 2**62) for number in range(MOST))
    attempts = tuple(
        replace(attempt, hold_nano=2**62, reserve_nano=2**62, held_in=tuple(range(MOST))) for attempt in record.attempts
    )
    return replace(record, accounts=accounts, attempts=attempts, limit_lowered_to=2**62)


# Every code point, lone surrogates too, and integers that no column holds: JSON of others may contain them.
texts = st.text(st.characters(codec=None), max_size=20)
integers = st.integers(-(2**70), 2**70)
milliseconds = st.none() | st.floats(allow_nan=False, allow_infinity=False)

accounts = st.lists(st.builds(Account, budget=texts, subject=texts, window_start_us=integers), max_size=3).map(tuple)
facts = st.builds(
    CallFacts,
    id=st.uuids().map(str),
    started_us=integers,
    path=texts,
    key_id=st.none() | texts,
    key=st.none() | texts,
    team=st.none() | texts,
    labels=st.dictionaries(texts, texts, max_size=3),
    session=st.none() | texts,
    end_user=st.none() | texts,
    model=st.none() | texts,
    stream=st.booleans(),
)
openings = st.builds(
    AttemptOpened,
    call=facts,
    index=integers,
    target=texts,
    provider=texts,
    started_us=integers,
    price_book=st.none() | texts,
    estimated_input=integers,
    input_usd_per_million=st.none() | texts,
    hold_nano=integers,
    held_in=accounts,
    seen_by=accounts,
)
usages = st.builds(Usage, **{bucket: st.none() | integers for bucket in BUCKETS})
charges = st.builds(
    Charge, attempt=integers, bucket=texts, quantity=integers, usd_per_million=texts, amount_nano=integers
)
attempts = st.builds(
    Attempt,
    index=integers,
    target=texts,
    provider=texts,
    end=st.sampled_from(End),
    started_us=integers,
    status=st.none() | integers,
    error=st.none() | texts,
    duration_ms=milliseconds,
    usage=usages,
    usage_basis=st.sampled_from(Basis),
    tokenizer=st.none() | texts,
    raw_usage=st.none() | texts,
    cost_nano=st.none() | integers,
    cost_at_least_nano=st.none() | integers,
    provider_cost_nano=st.none() | integers,
    unpriced_because=st.none() | texts,
    price_book=st.none() | texts,
    upstream_request_id=st.none() | texts,
    charges=st.lists(charges, max_size=2).map(tuple),
    hold_nano=integers,
    reserve_nano=integers,
    held_in=st.lists(st.integers(0, 2), max_size=3).map(tuple),
    seen_by=st.lists(st.integers(0, 2), max_size=3).map(tuple),
)
records = st.builds(
    CallRecord,
    facts=facts,
    end=st.sampled_from(End),
    status=st.none() | integers,
    error=st.none() | texts,
    attempts=st.lists(attempts, max_size=2).map(tuple),
    timings=st.builds(Timings, **dict.fromkeys(Timings.__dataclass_fields__, milliseconds)),
    cache=texts,
    ended_us=integers,
    accounts=accounts,
    limit_lowered_to=st.none() | integers,
    downgraded_from=st.none() | texts,
)
