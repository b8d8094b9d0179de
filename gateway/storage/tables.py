"""The tables, public as `docs/schema.md` tells them. Changed only together with a migration and a note.

Only `storage` and `migrations` know them. No foreign key leads to `keys`: a row outlives the key it was made with.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from gateway.storage.columns import measured, number, serial, sketch, usage_buckets, words

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

DIMENSIONS = ("key", "team", "model", "target", "provider", "path", "end")
"""What calls are summed by, besides the hour; columns of `calls` and of `rollups_hourly`."""

TIMINGS = (
    "overhead_ms",
    "connect_ms",
    "ttft_ms",
    "first_reasoning_ms",
    "duration_ms",
    "itl_p50_ms",
    "itl_p95_ms",
    "itl_max_ms",
    "output_tokens_per_second",
)

PARTITIONED = {"calls": "id", "attempts": "call_id", "charges": "call_id", "corrections": "call_id"}
"""On PostgreSQL partitioned by month, and by which column (`partitions`); what is referred to comes first.

Their foreign keys hold there within each partition, as does the primary key of a column that is numbered.
"""

calls = Table(
    "calls",
    metadata,
    serial("seq"),
    Column("id", Text, nullable=False, unique=True),
    number("started_us", nullable=False),
    number("ended_us"),
    words("path", nullable=False),
    words("key_id"),
    words("key"),
    words("team"),
    words("labels", nullable=False),
    words("session"),
    words("end_user"),
    words("model"),
    words("target"),
    words("provider"),
    Column("stream", Boolean, nullable=False),
    words("end", nullable=False),
    number("status"),
    words("error"),
    words("cache", nullable=False),
    number("attempts", nullable=False),
    *usage_buckets(),
    words("usage_basis", nullable=False),
    number("cost_nano"),
    number("cost_at_least_nano"),
    number("avoided_nano", nullable=False),
    number("reserve_nano", nullable=False),
    number("held_nano", nullable=False),
    words("price_book"),
    *(measured(name) for name in TIMINGS),
    number("limit_lowered_to"),
    words("downgraded_from"),
)
# `sqlite_where`: so it is on PostgreSQL too, by the migrations; to say it here would import all of its dialect.
Index(None, calls.c.started_us)
Index(None, calls.c.session, sqlite_where=calls.c.session.is_not(None))

attempts = Table(
    "attempts",
    metadata,
    Column("call_id", Text, ForeignKey(calls.c.id), nullable=False),
    number("attempt", nullable=False),
    words("target", nullable=False),
    words("provider", nullable=False),
    words("end", nullable=False),
    number("started_us", nullable=False),
    number("status"),
    words("error"),
    measured("duration_ms"),
    *usage_buckets(),
    words("usage_basis", nullable=False),
    words("tokenizer"),
    words("raw_usage"),
    number("cost_nano"),
    number("cost_at_least_nano"),
    number("provider_cost_nano"),
    words("unpriced_because"),
    words("price_book"),
    words("upstream_request_id"),
    words("price_conditions"),
    PrimaryKeyConstraint("call_id", "attempt"),
    sqlite_with_rowid=False,
)

charges = Table(
    "charges",
    metadata,
    Column("call_id", Text, ForeignKey(calls.c.id), nullable=False),
    number("attempt", nullable=False),
    words("bucket", nullable=False),
    number("quantity", nullable=False),
    words("usd_per_million", nullable=False),
    number("amount_nano", nullable=False),
    PrimaryKeyConstraint("call_id", "attempt", "bucket"),
    sqlite_with_rowid=False,
)

corrections = Table(
    "corrections",
    metadata,
    serial("id"),
    Column("call_id", Text, ForeignKey(calls.c.id), nullable=False),
    number("made_us", nullable=False),
    words("actor", nullable=False),
    words("reason", nullable=False),
    number("delta_nano", nullable=False),
    number("cost_nano", nullable=False),
    words("price_book"),
)
Index(None, corrections.c.call_id)

rollups_hourly = Table(
    "rollups_hourly",
    metadata,
    number("hour_us", nullable=False),
    *(words(dimension, nullable=False) for dimension in DIMENSIONS),
    number("calls", nullable=False),
    number("attempts", nullable=False),
    number("errors", nullable=False),
    *usage_buckets(),
    number("cost_nano"),
    number("cost_at_least_nano"),
    number("avoided_nano", nullable=False),
    number("reserve_nano", nullable=False),
    number("unpriced_calls", nullable=False),
    number("estimated_calls", nullable=False),
    number("generated_tokens", nullable=False),
    number("generation_us", nullable=False),
    sketch("ttft_ms"),
    sketch("itl_ms"),
    sketch("duration_ms"),
    PrimaryKeyConstraint("hour_us", *DIMENSIONS),
)

keys = Table(
    "keys",
    metadata,
    serial("number"),
    Column("id", Text, nullable=False, unique=True),
    words("name", nullable=False),
    words("prefix", nullable=False),
    Column("digest", Text, nullable=False, unique=True),
    number("created_us", nullable=False),
    words("team"),
    words("models"),
    words("labels", nullable=False),
    number("expires_us"),
    number("revoked_us"),
    words("old_digest"),
    number("old_digest_until_us"),
    number("max_cost_nano"),
    words("required_labels"),
)
Index(None, keys.c.name, unique=True, sqlite_where=keys.c.revoked_us.is_(None))

prices = Table(
    "prices",
    metadata,
    serial("number"),
    words("target", nullable=False),
    number("since_us", nullable=False),
    number("made_us", nullable=False),
    words("actor", nullable=False),
    words("usd_per_million"),
    words("usd_per_call"),
    Column("free", Boolean, nullable=False),
    words("like_kind"),
    Column("taken_back", Boolean, nullable=False),
)

price_maps = Table(
    "price_maps",
    metadata,
    serial("number"),
    words("version", nullable=False),
    words("sha256"),
    words("source", nullable=False),
    number("made_us", nullable=False),
    words("actor", nullable=False),
    Column("content", LargeBinary),
)

journal_marks = Table(
    "journal_marks",
    metadata,
    words("journal", primary_key=True),
    number("segment", nullable=False),
    number("offset", nullable=False),
)

retention = Table("retention", metadata, words("noun", primary_key=True), number("kept_since_us", nullable=False))

revisions = Table("revisions", metadata, words("noun", primary_key=True), number("number", nullable=False))

audit_entries = Table(
    "audit_entries",
    metadata,
    serial("id"),
    number("at_us", nullable=False),
    words("actor", nullable=False),
    words("action", nullable=False),
    words("subject", nullable=False),
    words("details", nullable=False),
)

budget_accounts = Table(
    "budget_accounts",
    metadata,
    words("budget", nullable=False),
    words("subject", nullable=False),
    number("window_start_us", nullable=False),
    number("spent_nano", nullable=False),
    number("reserve_nano", nullable=False),
    number("leased_nano", nullable=False),
    Column("corrected_nano", BigInteger, nullable=False, server_default="0"),
    Column("beyond_nano", BigInteger, nullable=False, server_default="0"),
    PrimaryKeyConstraint("budget", "subject", "window_start_us"),
    sqlite_with_rowid=False,
)

Index(None, budget_accounts.c.budget, budget_accounts.c.window_start_us)

budget_starts = Table(
    "budget_starts",
    metadata,
    words("budget", primary_key=True),
    words("shape", nullable=False),
    number("since_us", nullable=False),
)

budget_leases = Table(
    "budget_leases",
    metadata,
    words("owner", nullable=False),
    words("budget", nullable=False),
    words("subject", nullable=False),
    number("window_start_us", nullable=False),
    number("granted_nano", nullable=False),
    number("generation", nullable=False),
    number("expires_us", nullable=False),
    Column("held_nano", BigInteger, nullable=False, server_default="0"),
    PrimaryKeyConstraint("owner", "budget", "subject", "window_start_us"),
    sqlite_with_rowid=False,
)
Index(None, budget_leases.c.budget, budget_leases.c.subject, budget_leases.c.window_start_us)

budgets = Table(
    "budgets",
    metadata,
    serial("number"),
    words("name", nullable=False),
    number("limit_nano", nullable=False),
    words("window", nullable=False),
    words("timezone", nullable=False),
    words("mode", nullable=False),
    words("scope", nullable=False),
    words("alert_at", nullable=False),
    words("on_exhausted", nullable=False),
    words("downgrade_to"),
    Column("unpriced_allowed", Boolean, nullable=False),
    number("raised_nano", nullable=False),
    number("raised_until_us"),
    number("since_us", nullable=False),
)
Index(None, budgets.c.name, unique=True)

limits = Table(
    "limits",
    metadata,
    serial("number"),
    words("name", nullable=False),
    words("scope", nullable=False),
    number("rpm"),
    number("tpm"),
    number("in_flight"),
    number("since_us", nullable=False),
)
Index(None, limits.c.name, unique=True)

alerts = Table(
    "alerts",
    metadata,
    serial("number"),
    Column("id", Text, nullable=False, unique=True),
    words("rule", nullable=False),
    words("kind", nullable=False),
    words("subject", nullable=False),
    words("window", nullable=False),
    words("severity", nullable=False),
    words("facts", nullable=False),
    words("because", nullable=False),
    words("channels", nullable=False),
    words("state", nullable=False),
    number("raised_us", nullable=False),
    number("acknowledged_us"),
    number("resolved_us"),
)

alert_actions = Table(
    "alert_actions",
    metadata,
    serial("number"),
    Column("id", Text, nullable=False, unique=True),
    words("alert", nullable=False),
    words("rule", nullable=False),
    words("act", nullable=False),
    words("subject", nullable=False),
    number("limit_nano"),
    words("model"),
    Column("asks", Boolean, nullable=False),
    words("stage", nullable=False),
    number("made_us", nullable=False),
    number("decided_us"),
    words("decided_by"),
)
Index(None, alert_actions.c.stage, alert_actions.c.act, alert_actions.c.subject)

alert_deliveries = Table(
    "alert_deliveries",
    metadata,
    serial("number"),
    Column("id", Text, nullable=False, unique=True),
    Column("alert", Text, ForeignKey(alerts.c.id)),
    words("channel", nullable=False),
    words("kind", nullable=False),
    words("body", nullable=False),
    words("progress", nullable=False),
    number("tries", nullable=False),
    number("made_us", nullable=False),
    number("until_us", nullable=False),
    number("next_us"),
    number("ended_us"),
    number("status"),
    words("error"),
    words("claimed_by"),
    number("claimed_until_us"),
)
Index(
    None,
    alert_deliveries.c.channel,
    alert_deliveries.c.next_us,
    sqlite_where=alert_deliveries.c.next_us.is_not(None),
)

alert_delivery_tries = Table(
    "alert_delivery_tries",
    metadata,
    Column("delivery", Text, ForeignKey(alert_deliveries.c.id), nullable=False),
    number("number", nullable=False),
    number("began_us", nullable=False),
    number("duration_us", nullable=False),
    number("status"),
    words("error"),
    number("next_us"),
    PrimaryKeyConstraint("delivery", "number"),
    sqlite_with_rowid=False,
)

alert_channels_state = Table(
    "alert_channels_state",
    metadata,
    words("channel", primary_key=True),
    words("digest", nullable=False),
    number("disabled_us", nullable=False),
    words("reason", nullable=False),
)
