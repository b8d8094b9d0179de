"""`python -m benchmarks.upgrade`: a ledger of the revision before partitions, filled by SQL, upgraded beside a writer.

Calls are as wide as real ones: an attempt with the provider's usage object, two charges, every ninth with a session.
"""

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import monotonic, sleep, time_ns

from sqlalchemy import Connection, create_engine, text

from benchmarks.setting import tollkeeper
from gateway.core.calls import Attempt, CallFacts, CallRecord, Charge, End, Timings
from gateway.core.usage import Basis, Usage
from gateway.proxy.ids import new_id
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database, current, upgrade
from gateway.storage.journal_reader import Mark
from gateway.storage.ledger import Ledger

_TABLES = ("calls", "attempts", "charges", "corrections")
_SPAN_US = 365 * 86_400_000_000
_AT_ONCE = 1_000_000
_BATCH = 20
_PAUSE = 0.05
_FIRST = "20261123_0630"

_RAW = '{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100,"prompt_tokens_details":{"cached_tokens":800}}'
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
    ' provider, stream, "end", status, cache, attempts, input, cache_read, output, usage_basis, cost_nano, avoided_nano,'
    " reserve_nano, held_nano, price_book, overhead_ms, ttft_ms, duration_ms, itl_p50_ms, itl_p95_ms, itl_max_ms,"
    " output_tokens_per_second) {numbers} SELECT {id}, {us}, {us} + 262000, '/v1/chat/completions',"
    " '0193f0bf-ffff-7000-8000-000000000000', 'key-' || (n % 50), 'team-' || (n % 8),"
    " '{{\"feature\":\"search\",\"env\":\"prod\"}}', CASE WHEN n % 9 = 0 THEN 'session-' || (n % 100003) END,"
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


def fill(connection: Connection, count: int, now_us: int) -> None:
    """So many calls, evenly over the last year. Foreign keys are not checked: they hold by how it is made."""
    dialect = connection.dialect.name
    if dialect == "postgresql":
        connection.execute(text("SET LOCAL session_replication_role = replica"))
    us = f"({now_us - _SPAN_US} + n * {_SPAN_US // count})"
    made = _ID[dialect].format(ms=f"({us} / 1000)")
    for low in range(0, count, _AT_ONCE):
        numbers = _NUMBERS[dialect].format(low=low, high=min(low + _AT_ONCE, count) - 1)
        for statement in _FILLS:
            connection.exec_driver_sql(statement.format(numbers=numbers, id=made, us=us, raw=_RAW, book=_BOOK).replace(
                "%", "%%" if dialect == "postgresql" else "%"))
        print(f"filled {min(low + _AT_ONCE, count):,}", file=sys.stderr, flush=True)
