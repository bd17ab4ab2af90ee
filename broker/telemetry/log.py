"""Sets logging up: one line an event, for people or as JSON; other libraries' lines go the same way."""

import logging
import re
import sys
from collections.abc import MutableMapping
from enum import StrEnum
from typing import Any, Final, TextIO

import structlog

from broker.domain.printable import printable

_SECRET_FIELD: Final = re.compile(r"secret|token(?!_sha256)|password|cookie|authorization|private_key", re.IGNORECASE)
HIDDEN: Final = "[hidden]"


class LogFormat(StrEnum):
    """`console` has columns and colours on a terminal; `json` is one object a line."""

    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    """The lowest level that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def configure(log_format: LogFormat | str, level: LogLevel | str, stream: TextIO | None = None) -> None:
    """Sets up structlog and the standard library's logging for this process; calling again replaces the set-up.

    A JSON line has `ts` (UTC, ISO 8601), `level`, `event` and the event's fields. A field whose name speaks of a secret
    is written as `[hidden]`: the last net, not a licence to log one. Libraries' own lines come from warning up.
    """
    stream = sys.stdout if stream is None else stream
    number = logging.getLevelNamesMapping()[LogLevel(level).upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        _hide_secrets,
    ]
    renderers = _renderers(LogFormat(log_format), stream)
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    before = [_name_the_logger, *shared]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=_after(renderers)))
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)


def _renderers(log_format: LogFormat, stream: TextIO) -> list[structlog.typing.Processor]:
    if log_format is LogFormat.JSON:
        return [structlog.processors.format_exc_info, _put_in_order, structlog.processors.JSONRenderer(default=str)]
    plain = structlog.dev.plain_traceback  # the pretty ones print the values of local variables, and so secrets
    console = structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), timestamp_key="ts", sort_keys=False, exception_formatter=plain
    )
    return [_make_printable, console]


def _after(renderers: list[structlog.typing.Processor]) -> list[structlog.typing.Processor]:
    return [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers]


def _name_the_logger(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    record: logging.LogRecord = event["_record"]
    event["logger"] = record.name
    return event


def _put_in_order(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: event.pop(key) for key in ("ts", "level", "event") if key in event} | dict(event)


def _make_printable(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = printable(value)
    return event


def _hide_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in event:
        if _SECRET_FIELD.search(key):
            event[key] = HIDDEN
    return event
