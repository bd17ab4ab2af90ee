"""`agentbroker events`: what happened, and what happens."""

import sys
import time
from collections.abc import Iterator
from typing import Any, Final

import click

from broker.cli.exits import NOT_REACHABLE, CliError
from broker.cli.options import Session, asks_broker
from broker.cli.output import clock_time, emit_json, emit_line, first_line, say

_AGAIN_S: Final = (0.5, 1.0, 2.0, 5.0)
_MOST_FAILURES: Final = 15
"""About a minute, in which a broker is restarted."""
Event = dict[str, Any]


@click.command("events")
@click.option("-f", "--follow", is_flag=True, help="Go on as they happen, until Ctrl-C.")
@click.option("--since", metavar="TIME", help="Of this last time: 90s, 15m, 1h, 2d. Default: the last 256 events.")
@click.option("--agent", metavar="NAME", help="Only of this agent, or of the host with this id.")
@click.option("--pool", metavar="NAME", help="Only in this pool.")
@click.option("--reason", metavar="CODE", help="Only with this reason.")
@click.option("--audit", is_flag=True, help="Only what operators did.")
@asks_broker
def events(
    session: Session,
    follow: bool,
    since: str | None,
    agent: str | None,
    pool: str | None,
    reason: str | None,
    audit: bool,
) -> None:
    """Show what happened, the oldest first.

    \b
    agentbroker events --since 1h --reason InsufficientCapacity
    agentbroker events -f --agent linux-7f3k2
    agentbroker events --audit --since 7d -o jsonl
    """
    filters = {"agent": agent, "pool": pool, "reason": reason, "audit": "1" if audit else None}
    past = _Past(session, filters)
    items = past.read(since=since)
    if not follow and session.output == "json":
        emit_json({"api": "v1", "items": list(items), "last": past.last})
        return
    for item in items:
        _show(session.output, item)
    if follow:
        for item in _follow(session, filters, past):
            _show(session.output, item)
            sys.stdout.flush()


class _Past:
    """Reads lists of events, and keeps behind which number the next ones are."""

    def __init__(self, session: Session, filters: dict[str, Any]) -> None:
        self._session = session
        self._filters = filters
        self.last = 0

    def read(self, *, since: str | None = None, after: int | None = None, until: int | None = None) -> Iterator[Event]:
        """All there are now, in as many calls as it takes."""
        query: dict[str, Any] = {"since": since, "after": after}
        while True:
            part = self._session.client.get("events", **query, **self._filters)
            self.last = max(self.last, part["last"])
            yield from (item for item in part["items"] if until is None or item["number"] <= until)
            if not part["more"] or (until is not None and part["last"] >= until):
                return
            query = {"after": part["last"]}


def _follow(session: Session, filters: dict[str, Any], past: _Past) -> Iterator[Event]:
    """Each event behind `past.last` once, over broken connections and past what the stream leaves out."""
    last, failures = past.last, 0
    while True:
        try:
            for number, kind, data in session.client.stream("events", last, **filters):
                failures = 0
                if kind == "resync":
                    yield from past.read(after=last, until=data["last"])
                elif kind == "event":
                    yield data
                last = number
        except CliError as error:
            if error.code != NOT_REACHABLE or failures >= _MOST_FAILURES:
                raise
        click.echo("agentbroker: the stream of events broke off, resuming", err=True)
        time.sleep(_AGAIN_S[min(failures, len(_AGAIN_S) - 1)])
        failures += 1


def _show(output: str, item: Event) -> None:
    if output in {"json", "jsonl"}:
        emit_line(item)
    elif output == "name":
        click.echo(item["number"])
    else:
        say(event_line(item))


def event_line(item: Event) -> str:
    """An event for people: when, of what, what happened, where, why."""
    where = f"{item['pool']}:" if item["pool"] else ""
    what = item["agent"] or item["controller"] or "broker"
    why = ": ".join(part for part in (item["reason"], first_line(item["message"])) if part)
    who = f"(by {item['actor']})" if item["actor"] else ""
    parts = (clock_time(item["at"]), what, item["event"], where, why, who)
    return "  ".join(part for part in parts if part).rstrip(":")
