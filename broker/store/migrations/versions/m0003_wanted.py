"""Agents may be wanted by hand: the launches that operators asked for, and which agent belongs to which."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds what no agent has so far."""
    op.add_column("agents", sa.Column("launch_id", _text(64)))
    op.add_column("agents", sa.Column("requested_by", _text(128)))
    known = sa.text("launch_id IS NOT NULL")
    op.create_index("agents_of_launch", "agents", ["launch_id"], sqlite_where=known, postgresql_where=known)
    op.create_table(
        "hand_launches",
        sa.Column("id", _text(64), primary_key=True),
        sa.Column("controller", _text(128), nullable=False),
        sa.Column("policy", _text(128), nullable=False),
        sa.Column("label_expression", sa.Text().with_variant(sa.String(), "postgresql"), nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("actor", _text(128), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("hand_launches_by_end", "hand_launches", ["expires_at"])


def _text(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(), "postgresql")
