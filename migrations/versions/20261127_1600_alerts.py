"""Alerts, the outbox of what tells of them, every try of it, and the channels that want no more.

Revision: 20261127_1600
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_1600"
down_revision = "20261127_1500"
branch_labels = None
depends_on = None

SECONDS_PER_MILLION_CALLS = {"sqlite": 0.0, "postgresql": 0.0}
"""New tables, whatever there is already."""


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("id", "rule", "kind", "subject", "window")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("severity", "facts", "because", "channels")),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("raised_us", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.BigInteger()) for name in ("acknowledged_us", "resolved_us")),
        sa.PrimaryKeyConstraint("number", name="pk_alerts"),
        sa.UniqueConstraint("id", name="uq_alerts_id"),
    )
    op.create_table(
        "alert_deliveries",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("alert", sa.Text()),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("channel", "kind", "body", "progress")),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("tries", "made_us", "until_us")),
        *(sa.Column(name, sa.BigInteger()) for name in ("next_us", "ended_us", "status")),
        *(sa.Column(name, sa.Text()) for name in ("error", "claimed_by")),
        sa.Column("claimed_until_us", sa.BigInteger()),
        sa.ForeignKeyConstraint(["alert"], ["alerts.id"], name="fk_alert_deliveries_alert"),
        sa.PrimaryKeyConstraint("number", name="pk_alert_deliveries"),
        sa.UniqueConstraint("id", name="uq_alert_deliveries_id"),
    )
    waiting = sa.text("next_us IS NOT NULL")
    op.create_index(
        "ix_alert_deliveries_channel_next_us",
        "alert_deliveries",
        ["channel", "next_us"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    op.create_table(
        "alert_delivery_tries",
        sa.Column("delivery", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("number", "began_us", "duration_us")),
        sa.Column("status", sa.BigInteger()),
        sa.Column("error", sa.Text()),
        sa.Column("next_us", sa.BigInteger()),
        sa.ForeignKeyConstraint(["delivery"], ["alert_deliveries.id"], name="fk_alert_delivery_tries_delivery"),
        sa.PrimaryKeyConstraint("delivery", "number", name="pk_alert_delivery_tries"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "alert_channels_state",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("channel", "digest")),
        sa.Column("disabled_us", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("channel", name="pk_alert_channels_state"),
    )
