"""What a hold did to a call, and how much of each lease is held.

Revision: 20261127_1400
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "20261127_1400"
down_revision = "20261127_0400"
branch_labels = None
depends_on = None

SECONDS_PER_MILLION_CALLS = {"sqlite": 0.0, "postgresql": 0.0}
"""Columns that may be null, or have a default: neither database touches a row for them."""


def upgrade() -> None:
    _add("calls", sa.Column("limit_lowered_to", sa.BigInteger()))
    _add("calls", sa.Column("downgraded_from", sa.Text()))
    _add("budget_leases", sa.Column("held_nano", sa.BigInteger(), nullable=False, server_default="0"))


def _add(table: str, column: sa.Column[Any]) -> None:
    """A column that is there already stays as it is."""
    present = {one["name"] for one in sa.inspect(op.get_bind()).get_columns(table)}
    if column.name not in present:
        op.add_column(table, column)
