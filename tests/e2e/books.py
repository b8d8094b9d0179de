"""The books after many deaths: what the upstream was asked, what clients heard, and what the ledger says must agree."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from tests.databases import Operator, operator
from tests.e2e.counting import Clients, cost_nano_of

SEAT = int.from_bytes(b"tollkeep")
"""The number of the writers' lock in PostgreSQL."""


def books_agree(sql: Operator, asked: list[int], clients: Clients) -> Counter[str]:
    """The test of the first promise, to the letter; how many calls had which end."""
    rows = sql.rows(
        'SELECT c.end_user, c."end", c.attempts, c.usage_basis, c.cost_nano, count(a.call_id), min(a."end")'
        ' FROM calls c LEFT JOIN attempts a ON a.call_id = c.id GROUP BY c.id, c.end_user, c."end", c.attempts,'
        " c.usage_basis, c.cost_nano"
    )
    seen = set(asked)
    by_number = {int(row[0]): row[1:] for row in rows}
    assert len(by_number) == len(rows), "a call has two rows"
    assert len(seen) == len(asked), "the upstream was asked twice for one call"
    lost = seen - by_number.keys()
    assert not lost, f"{len(lost)} calls at the upstream have no row: {sorted(lost)[:20]}"
    assert not clients.refused.keys() & seen
    for number, (end, attempts, basis, cost, attempt_rows, attempt_end) in by_number.items():
        assert attempts == attempt_rows, number
        if number in seen:
            assert attempts == 1, "a call at the upstream has exactly one attempt"
        else:
            assert attempts == 0 or attempt_end == end == "interrupted", (number, end)
        if basis == "provider" and attempts and end != "failed":
            assert cost == cost_nano_of(number), number
    for number, cost_usd in clients.answered.items():
        end, _, basis, cost, *_ = by_number[number]
        assert (end, basis) == ("completed", "provider"), "who has the last byte has a whole row"
        assert cost_usd is None or Decimal(cost_usd) * 10**9 == cost
    _sums_agree(sql)
    return Counter(str(row[1]) for row in rows)


def _sums_agree(sql: Operator) -> None:
    calls = sql.rows("SELECT count(*), count(DISTINCT id), sum(attempts), sum(cost_nano) FROM calls")[0]
    assert calls[0] == calls[1]
    assert sql.count("attempts") == calls[2]
    assert sql.rows("SELECT sum(calls), sum(attempts), sum(cost_nano) FROM rollups_hourly") == [
        (calls[0], calls[2], calls[3])
    ]
    assert sql.one("SELECT sum(amount_nano) FROM charges") == calls[3]


@contextmanager
def held(url: str) -> Iterator[None]:
    """No writer gets at the database while the block runs."""
    begin = "BEGIN IMMEDIATE" if url.startswith("sqlite") else f"BEGIN; SELECT pg_advisory_xact_lock({SEAT})"
    with operator(url) as sql:
        sql.run(begin)
        try:
            yield
        finally:
            sql.run("ROLLBACK")
