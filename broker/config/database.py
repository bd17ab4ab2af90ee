"""The noun `server.database`: a PostgreSQL in the place of the SQLite file."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field

from broker.config.base import Model, Text
from broker.config.units import problem

_SCHEMES = ("postgresql", "postgres")
_SHAPE = "write it such as 'postgresql://agentbroker@db.example.com:5432/agentbroker?sslmode=verify-full'"


def _database_url(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        parts = urlsplit(value)
        password, name = parts.password, parts.path.strip("/")
    except ValueError as error:
        raise problem("bad-database-url", f"expected the URL of a database: {error}", _SHAPE) from error
    if password is not None or "password=" in parts.query:
        message = "a database's URL must not hold the password: it would be shown wherever the config is"
        raise problem("bad-database-url", message, "put it into a file, and name that at 'password_file'")
    if parts.scheme not in _SCHEMES or not name:
        raise problem("bad-database-url", f"expected the URL of a PostgreSQL database, got the text '{value}'", _SHAPE)
    return value


DatabaseUrl = Annotated[str, BeforeValidator(_database_url)]


class DatabaseModel(Model):
    """A PostgreSQL database of the broker's own, which no other broker uses."""

    url: DatabaseUrl = Field(
        description="postgresql://USER@HOST:PORT/NAME, with libpq's parameters (sslmode, sslrootcert, several hosts); "
        "reached directly, not through a pooler.",
        examples=["postgresql://agentbroker@db.example.com:5432/agentbroker"],
    )
    password_file: Text | None = Field(
        default=None,
        description="File with the user's password; read anew for each connection.",
        examples=["/etc/agentbroker/database.password"],
    )
