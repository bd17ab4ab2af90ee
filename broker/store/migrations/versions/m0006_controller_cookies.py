"""The cookie that a controller gave an agent's connection outlives the control plane and the gateway."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody has one so far."""
    op.create_table(
        "controller_cookies",
        sa.Column("agent", sa.String(32).with_variant(sa.String(), "postgresql"), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
