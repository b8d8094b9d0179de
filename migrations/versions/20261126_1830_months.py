"""PostgreSQL: calls, attempts, charges and corrections become partitioned by month; SQLite: nothing to do.

What is there becomes the first partition as it is, to the end of this month: rows and indexes are read through once
and not copied. Few rows whose ids say a later time move to the partition `…_other`, which takes what fits no month.

Revision: 20261126_1830
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "20261126_1830"
down_revision = "20261123_0630"
branch_labels = None
depends_on = None

SECONDS_PER_MILLION_CALLS = 3.0
"""Measured: one, on PostgreSQL with 1.3 GB in memory; from a disk it may take three times as long."""

TABLES = {"calls": "id", "attempts": "call_id", "charges": "call_id", "corrections": "call_id"}
"""What is partitioned, and by which column; what is referred to comes first."""
SERIALS = {"calls": "seq", "corrections": "id"}
INDEXES = {
    "calls": ("pk_calls", "uq_calls_id", "ix_calls_started_us", "ix_calls_session"),
    "attempts": ("pk_attempts",),
    "charges": ("pk_charges",),
    "corrections": ("pk_corrections", "ix_corrections_call_id"),
}
OF_THE_WHOLE = (
    "ALTER TABLE calls ADD CONSTRAINT uq_calls_id UNIQUE (id)",
    "CREATE INDEX ix_calls_started_us ON calls (started_us)",
    "CREATE INDEX ix_calls_session ON calls (session) WHERE session IS NOT NULL",
    "ALTER TABLE attempts ADD CONSTRAINT pk_attempts PRIMARY KEY (call_id, attempt)",
    "ALTER TABLE charges ADD CONSTRAINT pk_charges PRIMARY KEY (call_id, attempt, bucket)",
    "CREATE INDEX ix_corrections_call_id ON corrections (call_id)",
)


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        return
    # Readers come after us in the queue: better to fail and be repeated than to hold them up behind a dump.
    op.execute("SET LOCAL lock_timeout = '30s'")
    op.execute("LOCK TABLE calls, attempts, charges, corrections IN ACCESS EXCLUSIVE MODE")
    now = datetime.now(UTC)
    has_calls = connection.scalar(sa.text("SELECT EXISTS (SELECT FROM calls)"))
    for statement in statements((now.year, now.month) if has_calls else None):
        op.execute(statement)


def statements(this_month: tuple[int, int] | None) -> Iterator[str]:
    """What converts the tables; null: empty ones, which become `…_other`."""
    if this_month is None:
        yield from made_whole("other")
        for table in TABLES:
            yield f"ALTER TABLE {table} ATTACH PARTITION {table}_other DEFAULT"
        return
    year, month = this_month
    year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    name, bound = f"until_{year:04}{month:02}", first_id(datetime(year, month, 1, tzinfo=UTC))
    yield from made_whole(name)
    yield from other(name, bound)
    for table in TABLES:
        yield f"ALTER TABLE {table} ATTACH PARTITION {table}_{name} FOR VALUES FROM (MINVALUE) TO ('{bound}')"
        yield f"ALTER TABLE {table} ATTACH PARTITION {table}_other DEFAULT"
    for table in TABLES:
        if table != "calls":
            reference = "FOREIGN KEY (call_id) REFERENCES calls_other (id)"
            yield f"ALTER TABLE {table}_other ADD CONSTRAINT fk_{table}_call_id {reference}"


def made_whole(name: str) -> Iterator[str]:
    """The tables that are there under another name, and partitioned ones without a partition in their place."""
    for table, key in TABLES.items():
        yield f"ALTER TABLE {table} RENAME TO {table}_{name}"
        for index in INDEXES[table]:
            yield f"ALTER INDEX {index} RENAME TO {index}_{name}"
        yield f"CREATE TABLE {table} (LIKE {table}_{name} INCLUDING DEFAULTS) PARTITION BY RANGE ({key})"
        if table in SERIALS:  # or the numbers would end with the first partition
            yield f"ALTER SEQUENCE {table}_{SERIALS[table]}_seq OWNED BY {table}.{SERIALS[table]}"
    yield from OF_THE_WHOLE


def other(name: str, bound: str) -> Iterator[str]:
    """`…_other`, with all whose ids are beyond."""
    for table in TABLES:
        yield f"CREATE TABLE {table}_other (LIKE {table} INCLUDING DEFAULTS)"
        if table in SERIALS:
            yield f"ALTER TABLE {table}_other ADD PRIMARY KEY ({SERIALS[table]})"
    for table, key in reversed(TABLES.items()):
        beyond = f"DELETE FROM {table}_{name} WHERE {key} >= '{bound}' RETURNING *"  # noqa: S608 (names of this file)
        yield f"WITH moved AS ({beyond}) INSERT INTO {table}_other SELECT * FROM moved"  # noqa: S608


def first_id(moment: datetime) -> str:
    """The least id that a call made then can have: UUID version 7 begins with the milliseconds."""
    digits = f"{int(moment.timestamp()) * 1000:012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-000000000000"
