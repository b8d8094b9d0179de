"""What alert rules have done, and what people have decided about it.

Revision: 20261127_1810
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_1810"
down_revision = "20261127_1700"
branch_labels = None
depends_on = None

SECONDS_PER_MILLION_CALLS = {"sqlite": 0.0, "postgresql": 0.0}
"""A new table, whatever there is already."""


def upgrade() -> None:
    op.create_table(
        "alert_actions",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("id", "alert", "rule", "act", "subject")),
        sa.Column("limit_nano", sa.BigInteger()),
        sa.Column("model", sa.Text()),
        sa.Column("asks", sa.Boolean(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.Column("decided_us", sa.BigInteger()),
        sa.Column("decided_by", sa.Text()),
        sa.PrimaryKeyConstraint("number", name="pk_alert_actions"),
        sa.UniqueConstraint("id", name="uq_alert_actions_id"),
    )
    op.create_index("ix_alert_actions_stage_act_subject", "alert_actions", ["stage", "act", "subject"])
