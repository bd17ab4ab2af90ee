"""Every event is whole in its own row, and may be one of the broker as a whole; gone rows are found by their end."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ADDED = {"controller": 128, "name": 63, "policy": 128}
_BACKFILL = "UPDATE history SET actor = '', {}"
_FROM_AGENT = "{0} = COALESCE((SELECT a.{0} FROM agents a WHERE a.id = history.agent), '')"


def upgrade() -> None:
    """Takes over every row; an event whose agent is unknown stays without its names."""
    for name, length in _ADDED.items():
        op.add_column("history", sa.Column(name, _text(length)))
    op.add_column("history", sa.Column("actor", _text(128)))
    op.execute(_BACKFILL.format(", ".join(_FROM_AGENT.format(name) for name in _ADDED)))
    used = _last_number()
    with op.batch_alter_table("history", table_kwargs={"sqlite_autoincrement": True}) as table:
        for name, length in (*_ADDED.items(), ("actor", 128)):
            table.alter_column(name, existing_type=_text(length), nullable=False)
        table.alter_column("agent", existing_type=_text(32), nullable=True)
        table.alter_column("phase", existing_type=_text(16), nullable=True)
    _go_on_after(used)
    gone = sa.text("phase = 'gone'")
    op.create_index("agents_gone", "agents", ["gone_at"], sqlite_where=gone, postgresql_where=gone)
    op.create_index("agents_of_name", "agents", ["name"])


def _text(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(), "postgresql")


def _last_number() -> int:
    """The last number that SQLite gave an event, be it there or not; PostgreSQL's sequence stays as it is."""
    if op.get_bind().dialect.name != "sqlite":
        return 0
    return int(op.get_bind().scalar(sa.text("SELECT max(seq) FROM sqlite_sequence WHERE name = 'history'")) or 0)


def _go_on_after(number: int) -> None:
    """No number is used twice: the table that was made anew counts from what it holds."""
    if number:
        op.execute("DELETE FROM sqlite_sequence WHERE name = 'history'")
        sequence = sa.table("sqlite_sequence", sa.column("name"), sa.column("seq"))
        op.execute(sequence.insert().values(name="history", seq=number))
