"""The tables as version 0.1.0 made them, without Alembic: `meta.schema_version` is 1 there."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes all tables."""
    op.create_table("meta", _text("key", 64, primary_key=True), _text("value", nullable=False))
    _create_agents()
    _create_history()
    op.create_table(
        "limits",
        _text("scope", 32, primary_key=True),
        _text("key", 128, primary_key=True),
        sa.Column("used", sa.BigInteger, nullable=False),
        sa.Column("cap", sa.BigInteger),
    )
    op.create_table(
        "reservations",
        _text("agent", 32, primary_key=True),
        _text("scope", 32, primary_key=True),
        _text("key", 128, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "cooldowns",
        _text("pool", 128, primary_key=True),
        sa.Column("window_start", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("opened", sa.Integer, nullable=False),
        sa.Column("until", sa.BigInteger),
        _text("probe", 32),
        _text("why", 32),
        _text("message", nullable=False),
    )


def _text(name: str, length: int | None = None, *, primary_key: bool = False, nullable: bool = True) -> sa.Column[str]:
    kind = (sa.String(length) if length else sa.Text()).with_variant(sa.String(), "postgresql")
    return sa.Column(name, kind, primary_key=primary_key, nullable=nullable and not primary_key)


def _create_agents() -> None:
    live = sa.text("phase <> 'gone'")
    op.create_table(
        "agents",
        _text("id", 32, primary_key=True),
        _text("controller", 128, nullable=False),
        _text("name", 63, nullable=False),
        _text("policy", 128, nullable=False),
        _text("label_expression", nullable=False),
        _text("job", nullable=False),
        _text("build_url", nullable=False),
        _text("cause", 16, nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary, nullable=False),
        _text("phase", 16, nullable=False),
        _text("goal", 16, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("requested_at", sa.BigInteger, nullable=False),
        sa.Column("phase_since", sa.BigInteger, nullable=False),
        sa.Column("not_before", sa.BigInteger, nullable=False),
        sa.Column("deadline", sa.BigInteger),
        sa.Column("attempt", sa.Integer, nullable=False),
        _text("pool", 128),
        _text("token", 64),
        _text("instance"),
        _text("outcome", 16),
        _text("why", 32),
        _text("message", nullable=False),
        sa.Column("online_at", sa.BigInteger),
        sa.Column("gone_at", sa.BigInteger),
        sa.Column("busy", sa.Boolean, nullable=False),
        sa.Column("uses", sa.Integer, nullable=False),
        sa.UniqueConstraint("controller", "name", name="agents_by_name"),
    )
    op.create_index("agents_live", "agents", ["phase"], sqlite_where=live, postgresql_where=live)


def _create_history() -> None:
    op.create_table(
        "history",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        _text("agent", 32, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        _text("event", 32, nullable=False),
        _text("phase", 16, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        _text("pool", 128),
        _text("why", 32),
        _text("message", nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("history_of_agent", "history", ["agent", "number"])
