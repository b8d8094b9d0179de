"""Why the spent part of a budget can be more than its limit: what corrections added, what was billed beyond holds.

Revision: 20261201_1340
"""

import sqlalchemy as sa
from alembic import op

revision = "20261201_1340"
down_revision = "20261201_1300"
branch_labels = None
depends_on = None

SECONDS_PER_MILLION_CALLS = {"sqlite": 0.0, "postgresql": 0.0}
"""Two columns that are 0 in every row there is; neither database writes the rows anew."""


def upgrade() -> None:
    for name in ("corrected_nano", "beyond_nano"):
        op.add_column("budget_accounts", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
