"""What differs between the engines behind one `Database`; the statements are the same."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

FAULTS: Final = (DBAPIError, PoolTimeout, OSError, TimeoutError)
"""How an engine says that it cannot: its own errors, a broken connection, and no answer in time."""
_BUGS: Final = (IntegrityError, DataError, ProgrammingError, NotSupportedError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backing:
    """One opened engine. `reader` sees one consistent state in a transaction; transactions of `writer` may write."""

    reader: AsyncEngine
    writer: AsyncEngine
    place: str
    """How errors name it: a file, or a host with a database; never a password."""
    fix: str
    """What a person must see to when it cannot be opened."""
    admit: Callable[[AsyncConnection], Awaitable[None]]
    """Comes first in every transaction that writes; raises `StoreUnavailable` when this process may not now, and
    `StoreLost` when it never may again."""
    keep_copy: Callable[[int], Awaitable[None]]
    """Comes before an upgrade from that version of the schema: keeps what it would not find again."""
    take: Callable[[AsyncConnection], Awaitable[None]]
    """Comes last in the transaction that opens it: whoever had it before has it no more."""
    close: Callable[[], Awaitable[None]]
    abandon: Callable[[], Awaitable[None]]
    """Closes what could not be opened whole."""


def words(error: BaseException) -> str:
    """The engine's own words, in one line."""
    text = str(error.orig if isinstance(error, DBAPIError) and error.orig is not None else error)
    if text.startswith("<class"):  # SQLAlchemy's, before the words of asyncpg
        text = text.partition(": ")[2]
    return " ".join(text.split()) or "no answer in time"


def is_bug(error: BaseException) -> bool:
    """Whether the statement is at fault and not the engine: others may go on."""
    return isinstance(error, _BUGS)


def again(error: BaseException) -> bool:
    """Whether the engine rolled back for the sake of another transaction: the same again will do."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in {"40001", "40P01"}
