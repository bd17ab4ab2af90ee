"""`agentbroker agent`: what can be done to agents."""

import sys
import time
from typing import Any, Final

import click

from broker.cli.client import path_of
from broker.cli.exits import REFUSED, TIMED_OUT, CliError
from broker.cli.launch import launch
from broker.cli.options import Session, asks_broker
from broker.cli.output import emit_one

_LOOK_S: Final = 0.5


@click.group("agent")
def agent() -> None:
    """Launch an agent by hand, or end one.

    \b
    agentbroker agent launch --label linux --wait
    agentbroker agent terminate linux-7f3k2
    agentbroker agent terminate linux-7f3k2 --yes --reason "wrong image" --wait
    agentbroker agent terminate linux-7f3k2 --yes --force
    agentbroker agent drain linux-7f3k2 --reason "the host is replaced"
    """


agent.add_command(launch)


@agent.command("terminate")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Also if it runs a build, which is cut.")
@click.option("--reason", default="", help="Why; it is kept in the history and shown in Jenkins.")
@click.option("--wait", is_flag=True, help="Return when nothing of it is left.")
@click.option("--timeout", type=click.FloatRange(min=0), default=120.0, show_default=True, help="Seconds to wait.")
@asks_broker
def terminate(session: Session, name: str, yes: bool, force: bool, reason: str, wait: bool, timeout: float) -> None:
    """End an agent: its node, its session and its instance. One that runs a build is ended only with --force."""
    path = f"agents/{path_of(name)}"
    found = session.client.get(path)
    if found["phase"] != "gone":
        if not yes:
            _ask(found, force=force)
        try:
            found = session.client.post(f"{path}:terminate", {"force": force, "reason": reason})
        except CliError as error:
            if error.kind == "agent_busy":
                step = f"wait for its build, or cut it: agentbroker agent terminate {name} --yes --force"
                raise CliError(REFUSED, f"agent {name} runs a build", step) from None
            raise
    if wait:
        found = _wait(session, path, name, timeout)
    emit_one(session.output, found, "id", _print)


@agent.command("drain")
@click.argument("name")
@click.option("--reason", default="", help="Why; it is kept in the history and shown in Jenkins.")
@click.option("--wait", is_flag=True, help="Return when nothing of it is left.")
@click.option("--timeout", type=click.FloatRange(min=0), default=7200.0, show_default=True, help="Seconds to wait.")
@asks_broker
def drain(session: Session, name: str, reason: str, wait: bool, timeout: float) -> None:
    """Let an agent take no new build, and end.

    A build that it runs ends first; one that takes longer than `timeouts.drain` of its policy is cut.
    """
    path = f"agents/{path_of(name)}"
    found = session.client.post(f"{path}:drain", {"reason": reason})
    if wait:
        found = _wait(session, path, name, timeout)
    emit_one(session.output, found, "id", _print_drained)


def _ask(found: dict[str, Any], *, force: bool) -> None:
    what = f"{found['id']} ({found['phase']}{', runs a build' if found['busy'] else ''})"
    if not sys.stdin.isatty():
        step = f"agentbroker agent terminate {found['id']} --yes{' --force' if force else ''}"
        raise CliError(REFUSED, f"nobody can be asked whether to end {what}: this is no terminal", step)
    if not click.confirm(f"End {what}?", err=True):
        raise CliError(REFUSED, f"{found['id']} was not ended", f"agentbroker explain {found['id']}")


def _wait(session: Session, path: str, name: str, timeout_s: float) -> dict[str, Any]:
    until = time.monotonic() + timeout_s
    try:
        while (found := session.client.get(path))["phase"] != "gone":
            if time.monotonic() >= until:
                message = f"{name} is still {found['phase']} after {timeout_s:g} s; its end goes on"
                raise CliError(TIMED_OUT, message, f"agentbroker events -f --agent {name}")
            time.sleep(_LOOK_S)
    except KeyboardInterrupt:
        click.echo(f"its end goes on; to follow it: agentbroker events -f --agent {name}", err=True)
        raise
    return found


def _print(found: dict[str, Any]) -> None:
    told = "is gone" if found["phase"] == "gone" else f"is being ended ({found['phase']})"
    click.echo(f"{found['id']} {told}")


def _print_drained(found: dict[str, Any]) -> None:
    if found["phase"] == "gone":
        click.echo(f"{found['id']} is gone")
        return
    end = "ends when the build that it runs has ended" if found["busy"] else "ends as soon as Jenkins knows"
    click.echo(f"{found['id']} takes no new build and {end}")
