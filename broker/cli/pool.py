"""`agentbroker pool`: what operators do with a pool in an incident, each with its end."""

import sys
from datetime import UTC, datetime
from typing import Any, Final

import click

from broker.cli.client import path_of
from broker.cli.exits import CONFIG_INVALID, WRONG_USAGE, CliError
from broker.cli.lengths import seconds_of
from broker.cli.options import Session, asks_broker
from broker.cli.output import emit_one, say

_REASON: Final = click.option("--reason", default="", metavar="TEXT", help="Why; shown wherever agents wait for it.")
_FOR: Final = click.option("--for", "for_", metavar="TIME", help="Such as 30m; default: until `pool resume`.")


@click.group("pool")
def pool() -> None:
    """Pause, empty or change a pool for a time.

    \b
    agentbroker pool pause fargate --reason "ECR migration" --for 30m
    agentbroker pool set fargate limits.agents=140 --for 2h
    agentbroker pool resume fargate
    """


@pool.command("pause")
@click.argument("name")
@_REASON
@_FOR
@asks_broker
def pause(session: Session, name: str, reason: str, for_: str | None) -> None:
    """Give a pool no new agents; those that it has go on."""
    _pull(session, name, "pause", reason, for_)


@pool.command("drain")
@click.argument("name")
@_REASON
@_FOR
@asks_broker
def drain(session: Session, name: str, reason: str, for_: str | None) -> None:
    """Empty a pool: no new agents; those that run a build end after it, those that start end at once."""
    _pull(session, name, "drain", reason, for_)


@pool.command("resume")
@click.argument("name")
@_REASON
@asks_broker
def resume(session: Session, name: str, reason: str) -> None:
    """Use a pool again that was paused or emptied."""
    found = session.client.post(f"pools/{path_of(name)}:resume", {"reason": reason})
    emit_one(session.output, found, "id", lambda f: say(f"{f['id']}: takes agents again"))


@pool.command("set")
@click.argument("name")
@click.argument("setting", metavar="KEY=VALUE")
@click.option("--for", "for_", metavar="TIME", required=True, help="How long, such as 2h: then the file counts again.")
@_REASON
@asks_broker
def set_(session: Session, name: str, setting: str, for_: str, reason: str) -> None:
    """Set a key of a pool over the config file for a time, such as limits.agents=140 or cooldown.for=30s."""
    key, equals, value = setting.partition("=")
    if not equals or not value:
        step = f"agentbroker pool set {name} limits.agents=140 --for 2h"
        raise CliError(WRONG_USAGE, f"{setting!r} says no key and value", step)
    body = {"key": key, "value": value, "for_s": seconds_of(for_, "--for"), "reason": reason}
    emit_one(session.output, _change(session, name, "set", body), "pool", _print_change)


@pool.command("unset")
@click.argument("name")
@click.argument("key")
@asks_broker
def unset(session: Session, name: str, key: str) -> None:
    """Give a key of a pool the config file's value again."""
    emit_one(session.output, _change(session, name, "unset", {"key": key}), "pool", _print_change)


def _pull(session: Session, name: str, verb: str, reason: str, for_: str | None) -> None:
    if not reason:
        reason = _asked(name, verb)
    body: dict[str, Any] = {"reason": reason}
    if for_ is not None:
        body["for_s"] = seconds_of(for_, "--for")
    found = session.client.post(f"pools/{path_of(name)}:{verb}", body)
    emit_one(session.output, found, "id", _print_lever)


def _asked(name: str, verb: str) -> str:
    """The reason, of a person at a terminal."""
    if not sys.stdin.isatty():
        step = f'agentbroker pool {verb} {name} --reason "what happens"'
        raise CliError(WRONG_USAGE, "nobody can be asked why: this is no terminal", step)
    return str(click.prompt("Why", err=True))


def _change(session: Session, name: str, verb: str, body: dict[str, Any]) -> dict[str, Any]:
    try:
        return session.client.post(f"pools/{path_of(name)}:{verb}", body)
    except CliError as error:
        if error.kind == "config_invalid":
            error.code = CONFIG_INVALID
        raise


def _print_lever(found: dict[str, Any]) -> None:
    lever = found["lever"]
    if lever is None:  # its time was over before the answer was made
        say(f"{found['id']}: takes agents again")
        return
    what = {"pause": "paused", "drain": "being emptied"}[lever["kind"]]
    until = f" until {clock(lever['until'])}" if lever["until"] else ""
    say(f"{found['id']}: {what}{until} (by {lever['actor']}; `agentbroker pool resume {found['id']}` ends it)")


def _print_change(found: dict[str, Any]) -> None:
    pool_, key = found["pool"], found["key"]
    values = f"{pool_}: {key} {found['before'] or '(unset)'} -> {found['after'] or '(unset)'}"
    if found["until"] is None:
        say(f"{values} (the config's own again)")
        return
    end = f"`agentbroker pool unset {pool_} {key}` ends it"
    say(f"{values} until {clock(found['until'])} (override by {found['actor']}; {end})")


def clock(moment: str) -> str:
    """A moment of the API as the time of day in UTC, with the date where it is not today's."""
    at = datetime.fromisoformat(moment).astimezone(UTC)
    day = "" if at.date() == datetime.now(tz=UTC).date() else f"{at:%Y-%m-%d} "
    return f"{day}{at:%H:%M} UTC"
