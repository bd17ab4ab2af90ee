"""An attempt is known to be direct or not, whatever its pool is by now."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """All attempts so far go through the gateway: nothing is written, and that is what it means."""
    op.add_column("agents", sa.Column("direct", sa.Boolean))
