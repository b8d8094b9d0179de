"""Which budgets have begun to count, and a quick way to the accounts of one window.

Revision: 20261127_1500
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_1500"
down_revision = "20261127_1400"
branch_labels = None
depends_on = None

SECONDS_PER_MILLION_CALLS = {"sqlite": 0.0, "postgresql": 0.0}
"""A new table, and an index of one that is empty as long as there were no budgets."""


def upgrade() -> None:
    op.create_table(
        "budget_starts",
        sa.Column("budget", sa.Text(), nullable=False),
        sa.Column("shape", sa.Text(), nullable=False),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("budget", name="pk_budget_starts"),
    )
    op.create_index("ix_budget_accounts_budget_window_start_us", "budget_accounts", ["budget", "window_start_us"])
