"""The tables. Times are stored as UTC microseconds since 1970, so that they compare and sort as integers."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    literal_column,
    text,
)

from broker.store.columns import Asked, Facts, Lasting, Moment, Words

SCHEMA_VERSION: Final = 8

metadata = MetaData()

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
    Column("placed_at", Moment),
    Column("zone", Words(64)),
    Column("type", Words(64)),
    Column("capacity", Words(64)),
    Column("host", Words(128)),
    Column("refusals", Integer),
    Column("stalled", Boolean),
    Column("overrides", Asked()),
    Column("rate", BigInteger),
    Column("expected_life", Lasting),
    Column("costs_since", Moment),
    Column("held", Words()),
    UniqueConstraint("controller", "name", name="agents_by_name"),
    Index(
        "agents_waiting",
        "controller",
        "policy",
        "requested_at",
        sqlite_where=text("phase = 'requested'"),
        postgresql_where=text("phase = 'requested'"),
    ),
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
IS_WAITING: Final = agents.c.phase == literal_column("'requested'")
"""Written out: SQLite uses an index of some rows only where the statement itself says that it is about those."""

hosts = Table(
    "hosts",
    metadata,
    Column("id", Words(32), primary_key=True),
    Column("pool", Words(128), nullable=False),
    Column("phase", Words(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("requested_at", Moment, nullable=False),
    Column("phase_since", Moment, nullable=False),
    Column("deadline", Moment),
    Column("zone", Words(64), nullable=False),
    Column("type", Words(64), nullable=False),
    Column("capacity", Words(64), nullable=False),
    Column("cpu_milli", BigInteger),
    Column("memory_mib", BigInteger),
    Column("slots", BigInteger),
    Column("token", Words(64)),
    Column("ref", Words()),
    Column("address", Words(), nullable=False),
    Column("host_key", Words(), nullable=False),
    Column("facts", Facts(), nullable=False),
    Column("uses", Integer, nullable=False),
    Column("empty_since", Moment),
    Column("ready_at", Moment),
    Column("gone_at", Moment),
    Column("why", Words(32)),
    Column("message", Words(), nullable=False),
    Column("asked_by", Words(128), nullable=False),
    Column("controller", Words(128), nullable=False),
    Column("policy", Words(128), nullable=False),
    Column("job", Words(), nullable=False),
    Column("build_url", Words(), nullable=False),
    Index("hosts_live", "phase", sqlite_where=text("phase <> 'gone'"), postgresql_where=text("phase <> 'gone'")),
    Index("hosts_gone", "gone_at", sqlite_where=text("phase = 'gone'"), postgresql_where=text("phase = 'gone'")),
)

HOST_IS_GONE: Final = hosts.c.phase == literal_column("'gone'")
HOST_IS_LIVE: Final = hosts.c.phase != literal_column("'gone'")

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
    Column("details", Words()),
    Index("history_of_agent", "agent", "number"),
    sqlite_autoincrement=True,
)
"""`agent` is the id, absent in what is told of a host, whose id is the `name`, and of the broker as a whole. Numbers
are never used twice, and rise in the order in which transactions commit: there is one writer."""

limits = Table(
    "limits",
    metadata,
    Column("scope", Words(32), primary_key=True),
    Column("key", Words(128), primary_key=True),
    Column("used", BigInteger, nullable=False),
    Column("cap", BigInteger),
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

offering_rests = Table(
    "offering_rests",
    metadata,
    Column("pool", Words(128), primary_key=True),
    Column("zone", Words(64), primary_key=True),
    Column("type", Words(64), primary_key=True),
    Column("capacity", Words(64), primary_key=True),
    Column("since", Moment, nullable=False),
    Column("until", Moment, nullable=False),
    Column("why", Words(32), nullable=False),
    Column("message", Words(), nullable=False),
)

pool_levers = Table(
    "pool_levers",
    metadata,
    Column("pool", Words(128), primary_key=True),
    Column("kind", Words(16), nullable=False),
    Column("actor", Words(128), nullable=False),
    Column("reason", Words(), nullable=False),
    Column("since", Moment, nullable=False),
    Column("until", Moment),
)

timed_overrides = Table(
    "timed_overrides",
    metadata,
    Column("path", Words(512), primary_key=True),
    Column("value", Words(), nullable=False),
    Column("actor", Words(128), nullable=False),
    Column("reason", Words(), nullable=False),
    Column("since", Moment, nullable=False),
    Column("until", Moment, nullable=False),
)
"""Keys of the config that an operator has set for a time; `path` is a JSON list."""

spend = Table(
    "spend",
    metadata,
    Column("policy", Words(128), primary_key=True),
    Column("pool", Words(128), primary_key=True),
    Column("period", Words(32), primary_key=True),
    Column("micros", BigInteger, nullable=False),
)
"""Millionths of the base currency that were spent in a period of time."""

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
