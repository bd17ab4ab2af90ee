"""`agentbroker host`: what can be done to hosts, by hand."""

import sys
import time
from typing import Any, Final

import click

from broker.cli.client import path_of
from broker.cli.exits import REFUSED, TIMED_OUT, CliError
from broker.cli.options import Session, asks_broker
from broker.cli.output import emit_json, emit_line, emit_one, say

_LOOK_S: Final = 0.5
_REASON: Final = click.option("--reason", default="", help="Why; it is kept in the history.")
_WAIT: Final = click.option("--wait", is_flag=True, help="Return when nothing of it is left.")


@click.group("host")
def host() -> None:
    """Ask for a host, let one end, or delete it.

    \b
    agentbroker host create hangzhou --count 2 --wait
    agentbroker host drain h-3f2a9c5d1e70 --reason "kernel update"
    agentbroker host delete h-3f2a9c5d1e70 --yes
    agentbroker get hosts
    """


@host.command("create")
@click.argument("pool")
@click.option("--count", type=click.IntRange(1, 100), default=1, show_default=True, help="How many.")
@click.option("--wait", is_flag=True, help="Return when they are ready.")
@click.option("--timeout", type=click.FloatRange(min=0), default=1200.0, show_default=True, help="Seconds to wait.")
@asks_broker
def create(session: Session, pool: str, count: int, wait: bool, timeout: float) -> None:
    """Make hosts in a pool although no agent waits for them. Those beyond min_hosts end when they are long idle."""
    found: list[dict[str, Any]] = session.client.post("hosts", {"pool": pool, "count": count})["items"]
    if wait:
        until = time.monotonic() + timeout
        found = [_wait_until_ready(session, one["id"], until, timeout) for one in found]
    _emit(session.output, found)


@host.command("drain")
@click.argument("name")
@_REASON
@_WAIT
@click.option("--timeout", type=click.FloatRange(min=0), default=7200.0, show_default=True, help="Seconds to wait.")
@asks_broker
def drain(session: Session, name: str, reason: str, wait: bool, timeout: float) -> None:
    """Let a host take no new agent; it is deleted with its last one. Running builds are not cut."""
    found = session.client.post(f"hosts/{path_of(name)}:drain", {"reason": reason})
    if wait:
        found = _wait_until_gone(session, name, timeout)
    emit_one(session.output, found, "id", _print)


@host.command("delete")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Also if builds run on it, which are cut.")
@_REASON
@_WAIT
@click.option("--timeout", type=click.FloatRange(min=0), default=600.0, show_default=True, help="Seconds to wait.")
@asks_broker
def delete(session: Session, name: str, yes: bool, force: bool, reason: str, wait: bool, timeout: float) -> None:
    """End a host and the agents on it. One on which builds run is deleted only with --force."""
    path = f"hosts/{path_of(name)}"
    found = session.client.get(path)
    if found["phase"] != "gone":
        if not yes:
            _ask(found, force=force)
        try:
            found = session.client.post(f"{path}:delete", {"force": force, "reason": reason})
        except CliError as error:
            if error.kind == "host_busy":
                step = f"agentbroker host drain {name}, or cut the builds: agentbroker host delete {name} --yes --force"
                raise CliError(REFUSED, str(error), step) from None
            raise
    if wait:
        found = _wait_until_gone(session, name, timeout)
    emit_one(session.output, found, "id", _print)


def _ask(found: dict[str, Any], *, force: bool) -> None:
    what = f"{found['id']} ({found['phase']}, agents: {', '.join(found['agents']) or 'none'})"
    if not sys.stdin.isatty():
        step = f"agentbroker host delete {found['id']} --yes{' --force' if force else ''}"
        raise CliError(REFUSED, f"nobody can be asked whether to delete {what}: this is no terminal", step)
    if not click.confirm(f"Delete {what}?", err=True):
        raise CliError(REFUSED, f"{found['id']} was not deleted", "agentbroker get hosts")


def _wait_until_ready(session: Session, name: str, until: float, timeout_s: float) -> dict[str, Any]:
    while (found := session.client.get(f"hosts/{path_of(name)}"))["phase"] != "ready":
        if found["phase"] in {"draining", "deleting", "gone"}:
            why = ": ".join(part for part in (found["reason"], found["message"]) if part)
            raise CliError(
                REFUSED, f"host {name} is {found['phase']}: {why}", f"agentbroker events --agent {found['id']}"
            )
        _check_time(name, found, until, timeout_s)
        time.sleep(_LOOK_S)
    return found


def _wait_until_gone(session: Session, name: str, timeout_s: float) -> dict[str, Any]:
    until = time.monotonic() + timeout_s
    while (found := session.client.get(f"hosts/{path_of(name)}"))["phase"] != "gone":
        _check_time(name, found, until, timeout_s)
        time.sleep(_LOOK_S)
    return found


def _check_time(name: str, found: dict[str, Any], until: float, timeout_s: float) -> None:
    if time.monotonic() >= until:
        message = f"host {name} is still {found['phase']} after {timeout_s:g} s; it goes on"
        raise CliError(TIMED_OUT, message, "agentbroker get hosts -w")


def _emit(output: str, found: list[dict[str, Any]]) -> None:
    match output:
        case "json":
            emit_json({"api": "v1", "items": found})
        case "jsonl":
            for one in found:
                emit_line(one)
        case "name":
            for one in found:
                click.echo(one["id"])
        case _:
            for one in found:
                _print(one)


def _print(found: dict[str, Any]) -> None:
    told = {
        "requested": "is asked for",
        "creating": "is being made",
        "preparing": "is being prepared",
        "ready": "is ready",
        "draining": "takes no new agent, and ends with its last one",
        "deleting": "is being deleted",
        "gone": "is gone",
    }[found["phase"]]
    say(f"{found['id']} {told}")
