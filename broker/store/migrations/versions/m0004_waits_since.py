"""An agent knows since when its build waits, which may have had other agents before."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of agents so far nobody has told."""
    op.add_column("agents", sa.Column("waits_since", sa.BigInteger))
