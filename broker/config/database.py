"""The noun `server.database`: a PostgreSQL in the place of the SQLite file."""

import re
from typing import Annotated, Final
from urllib.parse import unquote

from pydantic import BeforeValidator, Field

from broker.config.base import Model, Text
from broker.config.units import pattern_schema, problem

_HELD: Final = r"[^/?#@\s]*:\S*@|\S*[?&]\w*[pP][aA][sS][sS][wW][oO][rR][dD]="
"""A password, behind the scheme: it may hold any character, also those that end a URL's part for a machine."""
_URL: Final = re.compile(rf"postgres(?:ql)?://(?!{_HELD})[^/?#\s]*/[^/?#\s]+(?:[?#]\S*)?")
_WITH_PASSWORD: Final = re.compile(rf"(?:[a-z+]+://|(?![a-z+]+://))(?:{_HELD})", re.IGNORECASE)
_SHAPE: Final = "postgresql://agentbroker@db.example.com:5432/agentbroker?sslmode=verify-full"


def _database_url(value: object) -> object:
    if not isinstance(value, str):
        return value
    if _WITH_PASSWORD.match(unquote(value)):
        message = "a database's URL must not hold the password: it would be shown wherever the config is"
        raise problem("bad-database-url", message, "put it into a file, and name that at 'password_file'")
    if _URL.fullmatch(value):
        return value
    got = "" if "@" in value else f", got the text '{value}'"
    message = f"expected the URL of a PostgreSQL database{got}"
    raise problem("bad-database-url", message, f"write it such as '{_SHAPE}'")


DatabaseUrl = Annotated[str, BeforeValidator(_database_url), pattern_schema(_URL.pattern, _SHAPE)]


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
