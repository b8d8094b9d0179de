"""A ledger as it was before there were partitions, with many calls, made by SQL.

Rows are as wide as real ones: an attempt with the provider's usage object, two charges, some with a session.
"""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Connection, create_engine, text

from gateway.storage.engine import upgrade

TABLES = ("calls", "attempts", "charges", "corrections")
_SPAN_US = 365 * 86_400_000_000
_AT_ONCE = 1_000_000

_RAW = (
    '{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100,"prompt_tokens_details":{"cached_tokens":800}}'
)
_BOOK = "litellm 1.106.2 sha256:66970be01c88"
_NUMBERS = {
    "sqlite": "WITH RECURSIVE numbers(n) AS (VALUES({low}) UNION ALL SELECT n + 1 FROM numbers WHERE n < {high})",
    "postgresql": "WITH numbers AS (SELECT n FROM generate_series({low}::bigint, {high}) AS n)",
}
_ID = {
    "sqlite": "printf('%08x-%04x-7%03x-8%03x-%012x', {ms} >> 16, {ms} & 65535, n & 4095, n & 4095, n)",
    "postgresql": "lpad(to_hex({ms} >> 16), 8, '0') || '-' || lpad(to_hex({ms} & 65535), 4, '0') || '-7' ||"
    " lpad(to_hex(n & 4095), 3, '0') || '-8' || lpad(to_hex(n & 4095), 3, '0') || '-' || lpad(to_hex(n), 12, '0')",
}
_FILLS = (
    "INSERT INTO calls (id, started_us, ended_us, path, key_id, key, team, labels, session, end_user, model, target,"
    ' provider, stream, "end", status, cache, attempts, input, cache_read, output, usage_basis, cost_nano,'
    " avoided_nano, reserve_nano, held_nano, price_book, overhead_ms, ttft_ms, duration_ms, itl_p50_ms,"
    " itl_p95_ms, itl_max_ms, output_tokens_per_second) {numbers} SELECT {id}, {us},"
    " {us} + 262000, '/v1/chat/completions',"
    " '0193f0bf-ffff-7000-8000-000000000000', 'key-' || (n % 50), 'team-' || (n % 8),"
    ' \'{{"feature":"search","env":"prod"}}\', CASE WHEN n % 9 = 0 THEN \'session-\' || (n % 100003) END,'
    " 'user-' || (n % 10007), 'fast', 'openai/gpt-4o-mini', 'openai', true, 'completed', 200, 'off', 1, 200, 800, 100,"
    " 'provider', 1600000, 0, 0, 0, '{book}', 0.2, 151.2, 262.0, 10.1, 11.0, 12.3, 902.5 FROM numbers",
    'INSERT INTO attempts (call_id, attempt, target, provider, "end", started_us, status, duration_ms, input,'
    " cache_read, output, usage_basis, raw_usage, cost_nano, price_book, upstream_request_id) {numbers}"
    " SELECT {id}, 0, 'openai/gpt-4o-mini', 'openai', 'completed', {us} + 200, 200, 261.8, 200, 800, 100, 'provider',"
    " '{raw}', 1600000, '{book}', 'req_0123456789abcdef0123456789abcdef' FROM numbers",
    "INSERT INTO charges {numbers} SELECT {id}, 0, 'input', 200, '2', 400000 FROM numbers"
    " UNION ALL SELECT {id}, 0, 'output', 100, '12', 1200000 FROM numbers",
    "INSERT INTO corrections (call_id, made_us, actor, reason, delta_nano, cost_nano) {numbers}"
    " SELECT {id}, {us}, 'admin', 'a newer price', 0, 1600000 FROM numbers WHERE n % 100 = 0",
)


def make_empty(url: str) -> None:
    """Tables of the first revision."""
    with TemporaryDirectory() as folder:
        first = Path(folder) / "migrations"
        ours = Path(__file__).parents[1] / "migrations"
        shutil.copytree(ours, first, ignore=shutil.ignore_patterns("__pycache__", "versions"))
        (first / "versions").mkdir()
        shutil.copy(ours / "versions" / "20261123_0630_baseline.py", first / "versions")
        upgrade(url, folder=first)


def make(url: str, count: int, now_us: int) -> None:
    """Tables of the first revision and so many calls, evenly over the year before. On PostgreSQL as superuser."""
    make_empty(url)
    engine = create_engine(url.replace("+aiosqlite", ""))
    with engine.begin() as connection:
        _fill(connection, count, now_us)
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM (ANALYZE)"))  # as autovacuum would have done by then
    engine.dispose()


def _fill(connection: Connection, count: int, now_us: int) -> None:
    dialect = connection.dialect.name
    if dialect == "postgresql":  # foreign keys hold by how the rows are made
        connection.execute(text("SET LOCAL session_replication_role = replica"))
    us = f"({now_us - _SPAN_US} + n * {_SPAN_US // count})"
    made = _ID[dialect].format(ms=f"({us} / 1000)")
    for low in range(0, count, _AT_ONCE):
        numbers = _NUMBERS[dialect].format(low=low, high=min(low + _AT_ONCE, count) - 1)
        for statement in _FILLS:
            filled = statement.format(numbers=numbers, id=made, us=us, raw=_RAW, book=_BOOK)
            connection.execute(text(filled.replace(":", "\\:")))
