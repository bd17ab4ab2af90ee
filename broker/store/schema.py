"""The tables. Times are stored as UTC microseconds since 1970, so that they compare and sort as integers."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    literal_column,
    text,
)
from sqlalchemy.types import TypeEngine

SCHEMA_VERSION: Final = 6

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

metadata = MetaData()


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime as an integer."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """To microseconds since 1970."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Back to a datetime."""
        return None if value is None else _EPOCH + value * _MICROSECOND


class Words(TypeDecorator[str]):
    """A text of any length; a length says what is usual, to people who look at a SQLite schema.

    The NUL character, which PostgreSQL's texts cannot hold, is kept as its picture (U+2400).
    """

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Without a length on PostgreSQL: there VARCHAR(n) refuses what is longer, as SQLite never does."""
        length = getattr(self.impl_instance, "length", None)
        if dialect.name != "sqlite":
            return dialect.type_descriptor(String())
        return dialect.type_descriptor(String(length) if length else Text())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        """What both engines can hold."""
        return value.replace("\x00", "\u2400") if value else value


meta = Table(
    "meta",
    metadata,
    Column("key", Words(64), primary_key=True),
    Column("value", Words(), nullable=False),
)

agents = Table(
    "agents",
    metadata,
    Column("id", Words(32), primary_key=True),
    Column("controller", Words(128), nullable=False),
    Column("name", Words(63), nullable=False),
    Column("policy", Words(128), nullable=False),
    Column("label_expression", Words(), nullable=False),
    Column("job", Words(), nullable=False),
    Column("build_url", Words(), nullable=False),
    Column("cause", Words(16), nullable=False),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("phase", Words(16), nullable=False),
    Column("goal", Words(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("requested_at", Moment, nullable=False),
    Column("phase_since", Moment, nullable=False),
    Column("not_before", Moment, nullable=False),
    Column("deadline", Moment),
    Column("attempt", Integer, nullable=False),
    Column("pool", Words(128)),
    Column("token", Words(64)),
    Column("instance", Words()),
    Column("outcome", Words(16)),
    Column("why", Words(32)),
    Column("message", Words(), nullable=False),
    Column("online_at", Moment),
    Column("gone_at", Moment),
    Column("busy", Boolean, nullable=False),
    Column("uses", Integer, nullable=False),
    Column("launch_id", Words(64)),
    Column("requested_by", Words(128)),
    Column("waits_since", Moment),
    Column("direct", Boolean),
    UniqueConstraint("controller", "name", name="agents_by_name"),
    Index("agents_live", "phase", sqlite_where=text("phase <> 'gone'"), postgresql_where=text("phase <> 'gone'")),
    Index("agents_gone", "gone_at", sqlite_where=text("phase = 'gone'"), postgresql_where=text("phase = 'gone'")),
    Index("agents_of_name", "name"),
    Index(
        "agents_of_launch",
        "launch_id",
        sqlite_where=text("launch_id IS NOT NULL"),
        postgresql_where=text("launch_id IS NOT NULL"),
    ),
)

IS_GONE: Final = agents.c.phase == literal_column("'gone'")
IS_LIVE: Final = agents.c.phase != literal_column("'gone'")
"""Written out: SQLite uses an index of some rows only where the statement itself says that it is about those."""

history = Table(
    "history",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("controller", Words(128), nullable=False),
    Column("agent", Words(32)),
    Column("name", Words(63), nullable=False),
    Column("policy", Words(128), nullable=False),
    Column("event", Words(32), nullable=False),
    Column("phase", Words(16)),
    Column("attempt", Integer, nullable=False),
    Column("pool", Words(128)),
    Column("why", Words(32)),
    Column("message", Words(), nullable=False),
    Column("actor", Words(128), nullable=False),
    Index("history_of_agent", "agent", "number"),
    sqlite_autoincrement=True,
)
"""`agent` is the id, absent in what is told of the broker as a whole. Numbers are never used twice, and rise in the
order in which transactions commit: there is one writer."""

limits = Table(
    "limits",
    metadata,
    Column("scope", Words(32), primary_key=True),
    Column("key", Words(128), primary_key=True),
    Column("used", BigInteger, nullable=False),
    Column("cap", BigInteger),
)

reservations = Table(
    "reservations",
    metadata,
    Column("agent", Words(32), primary_key=True),
    Column("scope", Words(32), primary_key=True),
    Column("key", Words(128), nullable=False),
    Column("amount", BigInteger, nullable=False),
)

controller_cookies = Table(
    "controller_cookies",
    metadata,
    Column("agent", Words(32), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)
"""By the agent's id: what its controller has given its last connection, where nobody could work it out."""

cooldowns = Table(
    "cooldowns",
    metadata,
    Column("pool", Words(128), primary_key=True),
    Column("window_start", Moment, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("opened", Integer, nullable=False),
    Column("until", Moment),
    Column("probe", Words(32)),
    Column("why", Words(32)),
    Column("message", Words(), nullable=False),
)

hand_launches = Table(
    "hand_launches",
    metadata,
    Column("id", Words(64), primary_key=True),
    Column("controller", Words(128), nullable=False),
    Column("policy", Words(128), nullable=False),
    Column("label_expression", Words(), nullable=False),
    Column("count", Integer, nullable=False),
    Column("actor", Words(128), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Index("hand_launches_by_end", "expires_at"),
)
"""Agents that an operator wants: they are asked of Jenkins until as many have this launch, or until `expires_at`."""

revisions = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Alembic's own table, which it knows better than `metadata`: one row, the migration that the tables stand at."""
