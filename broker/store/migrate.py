"""The tables, brought to what this version declares: made, left alone, or upgraded step by step with Alembic."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, insert, inspect, select, update
from sqlalchemy.exc import DBAPIError

from broker.errors import StoreUnavailable
from broker.store import schema

MIGRATIONS: Final = Path(__file__).parent / "migrations"
_FIRST: Final = 1
"""What a database without Alembic's table stands at: the versions before it had Alembic were all of one schema."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a database is: the version of its schema, 0 for an empty one, and the id that was made with it."""

    version: int
    installation: str | None


def revision(version: int) -> str:
    """Alembic's name of a version of the schema: `meta.schema_version` and this always say the same."""
    return f"{version:04}"


def read_standing(connection: Connection, place: str) -> Standing:
    """Looks and changes nothing. `StoreUnavailable`: made by a newer version, or of somebody else."""
    tables = set(inspect(connection).get_table_names())
    if schema.meta.name not in tables:
        if strangers := tables & set(schema.metadata.tables):
            raise StoreUnavailable(f"{place}: has tables of others ({', '.join(sorted(strangers))}); use another one")
        return Standing(0, None)
    known = {row.key: row.value for row in connection.execute(select(schema.meta.c.key, schema.meta.c.value))}
    version = int(known.get("schema_version", _FIRST))
    if version > schema.SCHEMA_VERSION:
        raise StoreUnavailable(
            f"{place}: made by a newer agentbroker (schema {version}, this one knows {schema.SCHEMA_VERSION}); start "
            "that version, or give this one another database"
        )
    return Standing(version, known.get("installation"))


def bring_up(connection: Connection, standing: Standing, place: str) -> str:
    """Makes or upgrades the tables within the caller's transaction; returns the installation's id.

    When it raises, the transaction must end, and everything is as before. `StoreUnavailable`: a step has failed.
    """
    if standing.version == 0:
        schema.metadata.create_all(connection)
        schema.revisions.create(connection)
        connection.execute(insert(schema.revisions).values(version_num=revision(schema.SCHEMA_VERSION)))
        _write(connection, "schema_version", str(schema.SCHEMA_VERSION))
    elif standing.version < schema.SCHEMA_VERSION:
        try:
            upgrade(connection, standing.version)
        except DBAPIError as error:
            raise StoreUnavailable(
                f"{place}: cannot be upgraded from schema {standing.version} to {schema.SCHEMA_VERSION}: {error.orig}; "
                "nothing was changed, and the version that made it can go on with it"
            ) from error
        _write(connection, "schema_version", str(schema.SCHEMA_VERSION))
    if standing.installation is not None:
        return standing.installation
    fresh = secrets.token_hex(8)
    _write(connection, "installation", fresh)
    return fresh


def upgrade(
    connection: Connection, version: int, target: int = schema.SCHEMA_VERSION, *, migrations: Path = MIGRATIONS
) -> None:
    """Runs the migrations after `version` up to `target` and notes where the tables stand, in one transaction."""
    from alembic.operations import Operations  # noqa: PLC0415 - only a database of an older version needs it
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    scripts = ScriptDirectory(str(migrations))
    context = MigrationContext.configure(connection)
    if version and context.get_current_revision() is None:
        context.stamp(scripts, revision(version))
    steps = list(scripts.iterate_revisions(revision(target), revision(version) if version else "base"))
    with Operations.context(context):
        for step in reversed(steps):
            step.module.upgrade()
    context.stamp(scripts, revision(target))


def _write(connection: Connection, key: str, value: str) -> None:
    same = schema.meta.c.key == key
    if not connection.execute(update(schema.meta).where(same).values(value=value)).rowcount:
        connection.execute(insert(schema.meta).values(key=key, value=value))
