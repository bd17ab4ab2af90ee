"""Hosts of ours have a table of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody has one so far."""
    op.create_table(
        "hosts",
        sa.Column("id", _text(32), primary_key=True),
        sa.Column("pool", _text(128), nullable=False),
        sa.Column("phase", _text(16), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("requested_at", sa.BigInteger, nullable=False),
        sa.Column("phase_since", sa.BigInteger, nullable=False),
        sa.Column("deadline", sa.BigInteger),
        *(sa.Column(name, _text(64), nullable=False) for name in ("zone", "type", "capacity")),
        *(sa.Column(name, sa.BigInteger) for name in ("cpu_milli", "memory_mib", "slots")),
        sa.Column("token", _text(64)),
        sa.Column("ref", _text()),
        *(sa.Column(name, _text(), nullable=False) for name in ("address", "host_key", "facts")),
        sa.Column("uses", sa.Integer, nullable=False),
        *(sa.Column(name, sa.BigInteger) for name in ("empty_since", "ready_at", "gone_at")),
        sa.Column("why", _text(32)),
        sa.Column("message", _text(), nullable=False),
        *(sa.Column(name, _text(128), nullable=False) for name in ("asked_by", "controller", "policy")),
        *(sa.Column(name, _text(), nullable=False) for name in ("job", "build_url")),
    )
    lives, ended = sa.text("phase <> 'gone'"), sa.text("phase = 'gone'")
    op.create_index("hosts_live", "hosts", ["phase"], sqlite_where=lives, postgresql_where=lives)
    op.create_index("hosts_gone", "hosts", ["gone_at"], sqlite_where=ended, postgresql_where=ended)


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    return (sa.String(length) if length else sa.Text()).with_variant(sa.String(), "postgresql")
