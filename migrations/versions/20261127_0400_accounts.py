"""Budgets, their accounts, and what processes have leased of these.

Revision: 20261127_0400
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_0400"
down_revision = "20261126_1830"
branch_labels = None
depends_on = None

SECONDS_PER_MILLION_CALLS = {"sqlite": 0.0, "postgresql": 0.0}
"""New tables, whatever there is already."""


def upgrade() -> None:
    op.create_table(
        "budgets",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("limit_nano", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("window", "timezone", "mode", "scope", "alert_at")),
        sa.Column("on_exhausted", sa.Text(), nullable=False),
        sa.Column("downgrade_to", sa.Text()),
        sa.Column("unpriced_allowed", sa.Boolean(), nullable=False),
        sa.Column("raised_nano", sa.BigInteger(), nullable=False),
        sa.Column("raised_until_us", sa.BigInteger()),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_budgets"),
    )
    op.create_index("ix_budgets_name", "budgets", ["name"], unique=True)
    op.create_table(
        "budget_accounts",
        sa.Column("budget", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("window_start_us", "spent_nano")),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("reserve_nano", "leased_nano")),
        sa.PrimaryKeyConstraint("budget", "subject", "window_start_us", name="pk_budget_accounts"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "budget_leases",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("budget", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("window_start_us", "granted_nano")),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("generation", "expires_us")),
        sa.PrimaryKeyConstraint("owner", "budget", "subject", "window_start_us", name="pk_budget_leases"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_budget_leases_budget_subject_window_start_us", "budget_leases", ["budget", "subject", "window_start_us"]
    )
