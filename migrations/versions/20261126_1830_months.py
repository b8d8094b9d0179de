"""PostgreSQL: calls, attempts, charges and corrections become partitioned by month; SQLite: nothing to do.

What is there becomes the first partition as it is, to the end of the next month: no row is copied. What takes long, to
see that all ids are before its end, is done ahead beside those who write. For that time ids from the end on go to
tables that inherit from the old ones, by a trigger: nothing is refused, and all is seen, even if nobody ever goes on.
They become `…_other`, which takes what fits no month.

Revision: 20261126_1830
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Connection

revision = "20261126_1830"
down_revision = "20261123_0630"
branch_labels = None
depends_on = None

SECONDS_PER_MILLION_CALLS = {"sqlite": 0.0, "postgresql": 1.0}
"""Measured with ten million: 0.5, from memory or a disk that reads 2 GB a second. Each has 1 GB that is to be read."""

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
OF_OTHER = (
    *(f"ALTER TABLE {table}_other ADD PRIMARY KEY ({column})" for table, column in SERIALS.items()),
    "ALTER TABLE calls_other ADD UNIQUE (id)",
    "CREATE INDEX ON calls_other (started_us)",
    "CREATE INDEX ON calls_other (session) WHERE session IS NOT NULL",
    "ALTER TABLE attempts_other ADD PRIMARY KEY (call_id, attempt)",
    "ALTER TABLE charges_other ADD PRIMARY KEY (call_id, attempt, bucket)",
    "CREATE INDEX ON corrections_other (call_id)",
)
"""Named by the server, as it names them when it attaches a partition without them."""
TO_OTHER = """
CREATE FUNCTION upgrade_to_other() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    EXECUTE format('INSERT INTO %I SELECT ($1).*', TG_TABLE_NAME || '_other') USING NEW;
    RETURN NULL;
END
$$
"""
FEW = 10_000
"""Calls that may move to `…_other` while everybody waits."""


def upgrade() -> None:
    """The last part, and the short one. On an empty ledger, or beside few calls that came since, the only one."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        return
    begin(connection)
    op.execute("LOCK TABLE calls, attempts, charges, corrections IN ACCESS EXCLUSIVE MODE")
    for statement in statements(stated_bound(connection)):
        op.execute(statement)


def begin(connection: Connection) -> None:
    """From now on no row comes to the old tables that does not fit the partition that they will be."""
    if stated_bound(connection) is not None:
        return
    connection.execute(sa.text("LOCK TABLE calls, attempts, charges, corrections IN ACCESS EXCLUSIVE MODE"))
    if connection.scalar(sa.text("SELECT EXISTS (SELECT FROM calls)")):
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))  # what has no statistics would be read as a whole
        for statement in set_apart(bound(connection)):
            connection.execute(sa.text(statement))


def check_ids(connection: Connection, table: str) -> None:
    """Reads a whole table; whoever writes does not notice."""
    if stated_bound(connection) is not None:
        connection.execute(sa.text(f"ALTER TABLE {table} VALIDATE CONSTRAINT upgrade_{table}"))


ONLINE: dict[str, tuple[tuple[str, bool, Callable[[Connection], None]], ...]] = {
    "postgresql": (
        ("set later ids apart", True, begin),
        *((f"check the ids of {table}", False, partial(check_ids, table=table)) for table in TABLES),
    )
}
"""What goes before, each in a transaction of its own and to be repeated at will: its name, whether nobody else may
write meanwhile (then it is short), and what does it."""


def statements(until: str | None) -> Iterator[str]:
    """What makes partitions of the tables, with the bound that was set; null: empty ones, which become `…_other`."""
    if until is None:
        yield from made_whole("other")
        for table in TABLES:
            yield f"ALTER TABLE {table} ATTACH PARTITION {table}_other DEFAULT"
        return
    name = f"until_{datetime.fromtimestamp(milliseconds(until) // 1000, UTC):%Y%m}"
    for table in TABLES:
        yield f"DROP TRIGGER upgrade_{table} ON {table}"
        yield f"ALTER TABLE {table}_other NO INHERIT {table}"
    yield "DROP FUNCTION upgrade_to_other()"
    yield from made_whole(name)
    for table in TABLES:  # not read for it: the constraint has been found to hold
        yield f"ALTER TABLE {table} ATTACH PARTITION {table}_{name} FOR VALUES FROM (MINVALUE) TO ('{until}')"
        yield f"ALTER TABLE {table} ATTACH PARTITION {table}_other DEFAULT"
        yield f"ALTER TABLE {table}_{name} DROP CONSTRAINT upgrade_{table}"


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


def set_apart(until: str) -> Iterator[str]:
    """`…_other`, with all that is beyond the bound and will be."""
    yield TO_OTHER
    for table in TABLES:
        yield f"CREATE TABLE {table}_other (LIKE {table} INCLUDING DEFAULTS)"
    yield from OF_OTHER
    for table, key in reversed(TABLES.items()):
        beyond = f"DELETE FROM {table} WHERE {key} >= '{until}' RETURNING *"  # noqa: S608 (names of this file)
        yield f"WITH moved AS ({beyond}) INSERT INTO {table}_other SELECT * FROM moved"  # noqa: S608
    for table, key in TABLES.items():
        if table != "calls":
            reference = "FOREIGN KEY (call_id) REFERENCES calls_other (id)"
            yield f"ALTER TABLE {table}_other ADD CONSTRAINT fk_{table}_call_id {reference}"
        yield f"ALTER TABLE {table}_other INHERIT {table}"
        yield (
            f"CREATE TRIGGER upgrade_{table} BEFORE INSERT ON {table} FOR EACH ROW"
            f" WHEN (NEW.{key} >= '{until}') EXECUTE FUNCTION upgrade_to_other()"
        )
        yield f"ALTER TABLE {table} ADD CONSTRAINT upgrade_{table} CHECK ({key} < '{until}') NO INHERIT NOT VALID"


def bound(connection: Connection) -> str:
    """The end of the next month; of a ledger with many later ids, of the month behind the last that looks like ours."""
    now = int(datetime.now(UTC).timestamp()) * 1000
    until = after(now)
    some_way_on = sa.text(f"SELECT id FROM calls WHERE id >= :until ORDER BY id OFFSET {FEW} LIMIT 1")  # noqa: S608
    if connection.scalar(some_way_on, {"until": until}) is None:
        return until
    ours = "id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'"
    last = connection.scalar(sa.text(f"SELECT max(id) FROM calls WHERE {ours} AND id < :end"), {"end": first_id(9998)})  # noqa: S608
    return after(max(now, milliseconds(last or until)))


def stated_bound(connection: Connection) -> str | None:
    """The one that was set when this was begun, by us or by somebody who was stopped."""
    definition: str | None = connection.scalar(
        sa.text(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conrelid = to_regclass('calls') AND conname = 'upgrade_calls'"
        )
    )
    return definition and definition.split("'")[1]


def after(moment_ms: int) -> str:
    """The first id of the month after the next one."""
    at = datetime.fromtimestamp(moment_ms // 1000, UTC)
    number = at.year * 12 + at.month - 1 + 2
    return first_id(number // 12, number % 12 + 1)


def first_id(year: int, month: int = 1) -> str:
    """The least id that a call made from then on can have: UUID version 7 begins with the milliseconds."""
    digits = f"{int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1000:012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-000000000000"


def milliseconds(call_id: str) -> int:
    return int(call_id[:8] + call_id[9:13], 16)
