"""The first schema: the ledger, its rollups, keys, prices, marks and audit entries.

What it says stays as it is, whatever `gateway.storage.tables` becomes: later changes are later revisions.

Revision: 20261123_0630
"""

from collections.abc import Iterable

import sqlalchemy as sa
from alembic import op

revision = "20261123_0630"
down_revision = None
branch_labels = None
depends_on = None

SECONDS_PER_MILLION_CALLS = {"sqlite": 0.0, "postgresql": 0.0}
"""Measured; what `tollkeeper db upgrade --dry-run` expects of this revision. There are no calls before this one."""

DIMENSIONS = ("key", "team", "model", "target", "provider", "path", "end")
BUCKETS = (
    "input", "cache_read", "cache_write_5m", "cache_write_1h", "cache_write", "output", "reasoning",
    "audio_in", "audio_out", "image_in", "image_out", "web_searches", "prediction_accepted", "prediction_rejected",
)  # fmt: skip
TIMINGS = (
    "overhead_ms", "connect_ms", "ttft_ms", "first_reasoning_ms", "duration_ms",
    "itl_p50_ms", "itl_p95_ms", "itl_max_ms", "output_tokens_per_second",
)  # fmt: skip


def upgrade() -> None:
    create_calls()
    create_attempts()
    create_charges_and_corrections()
    create_rollups()
    create_keys()
    create_prices()
    create_housekeeping()


def create_calls() -> None:
    op.create_table(
        "calls",
        serial("seq"),
        *words("id", nullable=False),
        *numbers("started_us", nullable=False),
        *numbers("ended_us"),
        *words("path", nullable=False),
        *words("key_id", "key", "team"),
        *words("labels", nullable=False),
        *words("session", "end_user", "model", "target", "provider"),
        sa.Column("stream", sa.Boolean(), nullable=False),
        *words("end", nullable=False),
        *numbers("status"),
        *words("error"),
        *words("cache", nullable=False),
        *numbers("attempts", nullable=False),
        *numbers(*BUCKETS),
        *words("usage_basis", nullable=False),
        *numbers("cost_nano", "cost_at_least_nano"),
        *numbers("avoided_nano", "reserve_nano", "held_nano", nullable=False),
        *words("price_book"),
        *(sa.Column(name, sa.Double(), nullable=True) for name in TIMINGS),
        sa.PrimaryKeyConstraint("seq", name="pk_calls"),
        sa.UniqueConstraint("id", name="uq_calls_id"),
    )
    op.create_index("ix_calls_started_us", "calls", ["started_us"])
    only_known = sa.text("session IS NOT NULL")
    op.create_index("ix_calls_session", "calls", ["session"], sqlite_where=only_known, postgresql_where=only_known)


def create_attempts() -> None:
    op.create_table(
        "attempts",
        *words("call_id", nullable=False),
        *numbers("attempt", nullable=False),
        *words("target", "provider", "end", nullable=False),
        *numbers("started_us", nullable=False),
        *numbers("status"),
        *words("error"),
        sa.Column("duration_ms", sa.Double(), nullable=True),
        *numbers(*BUCKETS),
        *words("usage_basis", nullable=False),
        *words("tokenizer", "raw_usage"),
        *numbers("cost_nano", "cost_at_least_nano", "provider_cost_nano"),
        *words("unpriced_because", "price_book", "upstream_request_id", "price_conditions"),
        of_a_call("attempts"),
        sa.PrimaryKeyConstraint("call_id", "attempt", name="pk_attempts"),
        sqlite_with_rowid=False,
    )


def create_charges_and_corrections() -> None:
    op.create_table(
        "charges",
        *words("call_id", nullable=False),
        *numbers("attempt", nullable=False),
        *words("bucket", nullable=False),
        *numbers("quantity", nullable=False),
        *words("usd_per_million", nullable=False),
        *numbers("amount_nano", nullable=False),
        of_a_call("charges"),
        sa.PrimaryKeyConstraint("call_id", "attempt", "bucket", name="pk_charges"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "corrections",
        serial("id"),
        *words("call_id", nullable=False),
        *numbers("made_us", nullable=False),
        *words("actor", "reason", nullable=False),
        *numbers("delta_nano", "cost_nano", nullable=False),
        *words("price_book"),
        of_a_call("corrections"),
        sa.PrimaryKeyConstraint("id", name="pk_corrections"),
    )
    op.create_index("ix_corrections_call_id", "corrections", ["call_id"])


def create_rollups() -> None:
    op.create_table(
        "rollups_hourly",
        *numbers("hour_us", nullable=False),
        *words(*DIMENSIONS, nullable=False),
        *numbers("calls", "attempts", "errors", nullable=False),
        *numbers(*BUCKETS),
        *numbers("cost_nano", "cost_at_least_nano"),
        *numbers("avoided_nano", "reserve_nano", "unpriced_calls", "estimated_calls", nullable=False),
        *numbers("generated_tokens", "generation_us", nullable=False),
        *(sa.Column(name, sa.LargeBinary(), nullable=True) for name in ("ttft_ms", "itl_ms", "duration_ms")),
        sa.PrimaryKeyConstraint("hour_us", *DIMENSIONS, name="pk_rollups_hourly"),
    )


def create_keys() -> None:
    op.create_table(
        "keys",
        serial("number"),
        *words("id", "name", "prefix", "digest", nullable=False),
        *numbers("created_us", nullable=False),
        *words("team", "models"),
        *words("labels", nullable=False),
        *numbers("expires_us", "revoked_us"),
        *words("old_digest"),
        *numbers("old_digest_until_us"),
        sa.PrimaryKeyConstraint("number", name="pk_keys"),
        sa.UniqueConstraint("id", name="uq_keys_id"),
        sa.UniqueConstraint("digest", name="uq_keys_digest"),
    )
    in_force = sa.text("revoked_us IS NULL")
    op.create_index("ix_keys_name", "keys", ["name"], unique=True, sqlite_where=in_force, postgresql_where=in_force)


def create_prices() -> None:
    op.create_table(
        "prices",
        serial("number"),
        *words("target", nullable=False),
        *numbers("since_us", "made_us", nullable=False),
        *words("actor", nullable=False),
        *words("usd_per_million", "usd_per_call"),
        sa.Column("free", sa.Boolean(), nullable=False),
        *words("like_kind"),
        sa.Column("taken_back", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_prices"),
    )
    op.create_table(
        "price_maps",
        serial("number"),
        *words("version", nullable=False),
        *words("sha256"),
        *words("source", nullable=False),
        *numbers("made_us", nullable=False),
        *words("actor", nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_price_maps"),
    )


def create_housekeeping() -> None:
    op.create_table(
        "journal_marks",
        *words("journal", nullable=False),
        *numbers("segment", "offset", nullable=False),
        sa.PrimaryKeyConstraint("journal", name="pk_journal_marks"),
    )
    op.create_table(
        "retention",
        *words("noun", nullable=False),
        *numbers("kept_since_us", nullable=False),
        sa.PrimaryKeyConstraint("noun", name="pk_retention"),
    )
    op.create_table(
        "revisions",
        *words("noun", nullable=False),
        *numbers("number", nullable=False),
        sa.PrimaryKeyConstraint("noun", name="pk_revisions"),
    )
    op.create_table(
        "audit_entries",
        serial("id"),
        *numbers("at_us", nullable=False),
        *words("actor", "action", "subject", "details", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_entries"),
    )


def serial(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False)


def numbers(*names: str, nullable: bool = True) -> Iterable[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=nullable) for name in names]


def words(*names: str, nullable: bool = True) -> Iterable[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=nullable) for name in names]


def of_a_call(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name=f"fk_{table}_call_id")
