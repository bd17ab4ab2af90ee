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
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

SCHEMA_VERSION: Final = 2

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


meta = Table(
    "meta",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

agents = Table(
    "agents",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("controller", String(128), nullable=False),
    Column("name", String(63), nullable=False),
    Column("policy", String(128), nullable=False),
    Column("label_expression", Text, nullable=False),
    Column("job", Text, nullable=False),
    Column("build_url", Text, nullable=False),
    Column("cause", String(16), nullable=False),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("phase", String(16), nullable=False),
    Column("goal", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("requested_at", Moment, nullable=False),
    Column("phase_since", Moment, nullable=False),
    Column("not_before", Moment, nullable=False),
    Column("deadline", Moment),
    Column("attempt", Integer, nullable=False),
    Column("pool", String(128)),
    Column("token", String(64)),
    Column("instance", Text),
    Column("outcome", String(16)),
    Column("why", String(32)),
    Column("message", Text, nullable=False),
    Column("online_at", Moment),
    Column("gone_at", Moment),
    Column("busy", Boolean, nullable=False),
    Column("uses", Integer, nullable=False),
    UniqueConstraint("controller", "name", name="agents_by_name"),
    Index("agents_live", "phase", sqlite_where=text("phase <> 'gone'"), postgresql_where=text("phase <> 'gone'")),
    Index("agents_gone", "gone_at", sqlite_where=text("phase = 'gone'"), postgresql_where=text("phase = 'gone'")),
    Index("agents_of_name", "name"),
)

history = Table(
    "history",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("controller", String(128), nullable=False, server_default=""),
    Column("agent", String(32)),
    Column("name", String(63), nullable=False, server_default=""),
    Column("policy", String(128), nullable=False, server_default=""),
    Column("event", String(32), nullable=False),
    Column("phase", String(16)),
    Column("attempt", Integer, nullable=False),
    Column("pool", String(128)),
    Column("why", String(32)),
    Column("message", Text, nullable=False),
    Column("actor", String(128), nullable=False, server_default=""),
    Index("history_of_agent", "agent", "number"),
    sqlite_autoincrement=True,
)
"""`agent` is the id, absent in what is told of the broker as a whole. Numbers are never used twice, and rise in the
order in which transactions commit: there is one writer."""

limits = Table(
    "limits",
    metadata,
    Column("scope", String(32), primary_key=True),
    Column("key", String(128), primary_key=True),
    Column("used", BigInteger, nullable=False),
    Column("cap", BigInteger),
)

reservations = Table(
    "reservations",
    metadata,
    Column("agent", String(32), primary_key=True),
    Column("scope", String(32), primary_key=True),
    Column("key", String(128), nullable=False),
    Column("amount", BigInteger, nullable=False),
)

cooldowns = Table(
    "cooldowns",
    metadata,
    Column("pool", String(128), primary_key=True),
    Column("window_start", Moment, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("opened", Integer, nullable=False),
    Column("until", Moment),
    Column("probe", String(32)),
    Column("why", String(32)),
    Column("message", Text, nullable=False),
)
