"""Limits of requests, tokens and calls in flight, that no settings file declares.

Revision: 20261127_1700
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_1700"
down_revision = "20261127_1600"
branch_labels = None
depends_on = None

SECONDS_PER_MILLION_CALLS = {"sqlite": 0.0, "postgresql": 0.0}
"""A new table, whatever there is already."""


def upgrade() -> None:
    op.create_table(
        "limits",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger()) for name in ("rpm", "tpm", "in_flight")),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_limits"),
    )
    op.create_index("ix_limits_name", "limits", ["name"], unique=True)
