"""How values stand in columns: the same in both engines, and comparable as they stand."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Dialect, String, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

from broker.domain.overrides import NO_OVERRIDE, Override

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)


def to_moment(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - EPOCH) // MICROSECOND


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime as an integer."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """To microseconds since 1970."""
        return None if value is None else to_moment(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Back to a datetime."""
        return None if value is None else EPOCH + value * MICROSECOND


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


class Lasting(TypeDecorator[timedelta]):
    """A length of time in microseconds."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: timedelta | None, dialect: Dialect) -> Any:
        """To microseconds."""
        return None if value is None else value // MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> timedelta | None:
        """Back to a length of time."""
        return None if value is None else value * MICROSECOND


class Asked(TypeDecorator[Override]):
    """What a build asked for itself, as JSON; nothing where it asked for nothing."""

    impl = Words
    cache_ok = True

    def process_bind_param(self, value: Override | None, dialect: Dialect) -> Any:
        """To JSON, without what was not asked for."""
        if value is None or value == NO_OVERRIDE:
            return None
        said = {name: getattr(value, name) for name in Override.__slots__}
        return json.dumps({name: part for name, part in said.items() if part}, separators=(",", ":"))

    def process_result_value(self, value: Any, dialect: Dialect) -> Override:
        """Back to what was asked for."""
        return Override(**json.loads(value)) if value else NO_OVERRIDE


class Facts(TypeDecorator[Mapping[str, str]]):
    """Texts by name, as JSON."""

    impl = Words
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, str] | None, dialect: Dialect) -> Any:
        """To JSON."""
        return None if value is None else json.dumps(dict(value), separators=(",", ":"))

    def process_result_value(self, value: Any, dialect: Dialect) -> Mapping[str, str]:
        """Back to what was said; nothing where there is nothing."""
        return json.loads(value) if value else {}
