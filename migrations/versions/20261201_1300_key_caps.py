"""What a key's calls may cost each, and the labels that they have to carry.

Revision: 20261201_1300
"""

import sqlalchemy as sa
from alembic import op

revision = "20261201_1300"
down_revision = "20261127_1810"
branch_labels = None
depends_on = None

SECONDS_PER_MILLION_CALLS = {"sqlite": 0.0, "postgresql": 0.0}
"""Two empty columns, whatever there is already."""


def upgrade() -> None:
    op.add_column("keys", sa.Column("max_cost_nano", sa.BigInteger()))
    op.add_column("keys", sa.Column("required_labels", sa.Text()))
