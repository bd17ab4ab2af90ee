"""What placement knows of an agent is in its row, and with it what the agent has taken of limits."""

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_BATCH: Final = 1000


def upgrade() -> None:
    """Takes over what is reserved; of all else nothing is known yet."""
    _extend_agents()
    _fill_held()
    op.drop_table("reservations")
    op.add_column("history", sa.Column("details", _text()))
    _create_tables()


def _extend_agents() -> None:
    for column in (
        sa.Column("placed_at", sa.BigInteger),
        sa.Column("zone", _text(64)),
        sa.Column("type", _text(64)),
        sa.Column("capacity", _text(64)),
        sa.Column("host", _text(128)),
        sa.Column("refusals", sa.Integer),
        sa.Column("stalled", sa.Boolean),
        sa.Column("overrides", _text()),
        sa.Column("rate", sa.BigInteger),
        sa.Column("expected_life", sa.BigInteger),
        sa.Column("costs_since", sa.BigInteger),
        sa.Column("held", _text()),
    ):
        op.add_column("agents", column)
    waiting = sa.text("phase = 'requested'")
    columns = ["controller", "policy", "requested_at"]
    op.create_index("agents_waiting", "agents", columns, sqlite_where=waiting, postgresql_where=waiting)


def _fill_held() -> None:
    rows = op.get_bind().execute(sa.text("SELECT agent, scope, key, amount FROM reservations ORDER BY agent, scope"))
    write = sa.text("UPDATE agents SET held = :held WHERE id = :id")
    for batch in _batches(rows.all()):
        op.get_bind().execute(write, batch)


def _batches(rows: Any) -> Iterator[list[dict[str, str]]]:
    held = [
        {"id": agent, "held": json.dumps([list(row[1:]) for row in of_agent], separators=(",", ":"))}
        for agent, of_agent in groupby(rows, key=lambda row: row[0])
    ]
    for start in range(0, len(held), _BATCH):
        yield held[start : start + _BATCH]


def _create_tables() -> None:
    op.create_table(
        "offering_rests",
        *(_key(name, length) for name, length in (("pool", 128), ("zone", 64), ("type", 64), ("capacity", 64))),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("why", _text(32), nullable=False),
        sa.Column("message", _text(), nullable=False),
    )
    op.create_table(
        "pool_levers",
        _key("pool", 128),
        sa.Column("kind", _text(16), nullable=False),
        *_by_somebody(),
        sa.Column("until", sa.BigInteger),
    )
    op.create_table(
        "timed_overrides",
        _key("path", 512),
        sa.Column("value", _text(), nullable=False),
        *_by_somebody(),
        sa.Column("until", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "spend",
        *(_key(name, length) for name, length in (("policy", 128), ("pool", 128), ("period", 32))),
        sa.Column("micros", sa.BigInteger, nullable=False),
    )


def _key(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, _text(length), primary_key=True)


def _by_somebody() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("actor", _text(128), nullable=False),
        sa.Column("reason", _text(), nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
    )


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    return (sa.String(length) if length else sa.Text()).with_variant(sa.String(), "postgresql")
