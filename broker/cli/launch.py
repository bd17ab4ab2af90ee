"""`agentbroker agent launch`: a real agent by hand, followed until it is online."""

import re
import secrets
import time
from typing import Any, Final

import click

from broker.cli.client import path_of
from broker.cli.events import event_line
from broker.cli.exits import CANNOT_BE_PLACED, FAILED, TIMED_OUT, WRONG_USAGE, CliError
from broker.cli.options import Session, asks_broker
from broker.cli.output import emit_one, first_line, say
from broker.domain.printable import printable

_LOOK_S: Final = 0.3
_LENGTH: Final = re.compile(r"(\d{1,6}(?:\.\d+)?)(s|m|h)?")
_UNITS: Final = {None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST_S: Final = 86_400.0
_CODES: Final = {"no_matching_policy": CANNOT_BE_PLACED, "controller_away": FAILED}
Launch = dict[str, Any]


@click.command("launch")
@click.option("--label", metavar="EXPR", help="What a build would ask for: its policy is taken.")
@click.option("--policy", metavar="NAME", help="The policy itself.")
@click.option("--controller", metavar="NAME", help="Whose agents; needed if several are connected.")
@click.option("-n", "--count", type=click.IntRange(1, 100), default=1, show_default=True, help="How many.")
@click.option("--wait", is_flag=True, help="Tell each change of phase; return when all are online.")
@click.option("--timeout", metavar="TIME", default="5m", show_default=True, help="Of the launch, and of --wait.")
@click.option("--id", "launch_id", metavar="ID", help="Name of the launch: a repeat launches nothing more.")
@asks_broker
def launch(  # noqa: PLR0913, PLR0917 - one a flag
    session: Session,
    label: str | None,
    policy: str | None,
    controller: str | None,
    count: int,
    wait: bool,
    timeout: str,
    launch_id: str | None,
) -> None:
    """Launch an agent though no build waits: one real try, end to end. It ends by itself when it stays idle.

    \b
    agentbroker agent launch --label 'linux && docker' --wait
    agentbroker agent launch --policy linux --controller main --count 3
    agentbroker agent launch --label linux --wait --timeout 10m -o json
    """
    if label is None and policy is None:
        raise click.UsageError("say what to launch: --label EXPR or --policy NAME")
    seconds = _seconds(timeout)
    body: dict[str, Any] = {"label": label or "", "policy": policy, "controller": controller, "count": count}
    body |= {"id": launch_id or secrets.token_hex(6), "expires_s": max(1, round(seconds))}
    try:
        found = session.client.post("launches", body)
    except CliError as error:
        if error.kind in _CODES:
            error.code = _CODES[error.kind]
        raise
    if wait:
        found = _Wait(session, found, seconds).until_online()
    elif found["state"] == "expired":
        raise _not_asked(found)
    emit_one(session.output, found, "id", _print)


class _Wait:
    """Follows the agents of one launch."""

    def __init__(self, session: Session, found: Launch, timeout_s: float) -> None:
        self._session = session
        self._found = found
        self._path = f"launches/{path_of(found['id'])}"
        self._timeout_s = timeout_s
        self._told: dict[str, int] = {}

    def until_online(self) -> Launch:
        """The launch with all its agents online; raises `CliError` where one fails or the time is over."""
        until = time.monotonic() + self._timeout_s
        found = self._found
        try:
            click.echo(f"controller {found['controller']} is asked for {_agents(found)}", err=True)
            while True:
                self._found = found = self._session.client.get(self._path)
                for agent in found["agents"]:
                    self._tell(agent["id"])
                    _must_not_have_failed(agent)
                if sum(agent["online_at"] is not None for agent in found["agents"]) >= found["count"]:
                    return found
                if found["state"] == "expired" and not _starting(found):
                    raise _not_asked(found)
                if time.monotonic() >= until:
                    raise self._late()
                time.sleep(_LOOK_S)
        except KeyboardInterrupt:
            click.echo(f"the launch goes on; {_how_to_follow(found)}", err=True)
            raise

    def _tell(self, name: str) -> None:
        news = self._session.client.get("events", agent=name, after=self._told.get(name, 0))
        for event in news["items"]:
            click.echo(printable(event_line(event)), err=True)
        self._told[name] = news["last"]

    def _late(self) -> CliError:
        found = self._found
        if not (starting := _starting(found)):
            return _not_asked(found, f" within {self._timeout_s:g} s")
        first = starting[0]
        why = ": ".join(part for part in (first["reason"], first_line(first["message"])) if part)
        message = f"{first['id']} is still {first['phase']} after {self._timeout_s:g} s" + (f": {why}" if why else "")
        return CliError(TIMED_OUT, f"{message}; its start goes on", f"agentbroker explain {first['id']}")


def _starting(found: Launch) -> list[dict[str, Any]]:
    return [agent for agent in found["agents"] if agent["online_at"] is None]


def _not_asked(found: Launch, when: str = "") -> CliError:
    why = found.get("message")
    message = f"{found['controller']} has asked for {len(found['agents'])} of {found['count']} agents{when}"
    if found["state"] == "expired":
        step = "launch anew, with another --id and more --timeout"
    else:
        step = "agentbroker get controllers; look at the system log of that Jenkins"
    return CliError(TIMED_OUT, f"{message}: {why}" if why else message, step)


def _must_not_have_failed(agent: dict[str, Any]) -> None:
    if agent["online_at"] is None and agent["goal"] == "gone":
        why = ": ".join(part for part in (agent["reason"], first_line(agent["message"])) if part)
        message = f"{agent['id']} did not come online: {why or agent['outcome']}"
        raise CliError(FAILED, message, f"agentbroker explain {agent['id']}")


def _seconds(text: str) -> float:
    found = _LENGTH.fullmatch(text.strip())
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 0 < seconds <= _LONGEST_S:
        raise CliError(WRONG_USAGE, f"--timeout {text!r} is no time up to a day", "write it such as 90s, 5m or 1h")
    return seconds


def _agents(found: Launch) -> str:
    number = f"{found['count']} agent{'s' if found['count'] != 1 else ''}"
    return f"{number} of policy {found['policy']}"


def _how_to_follow(found: Launch) -> str:
    return f"to follow it: agentbroker get agents --where launch_id={found['id']}"


def _print(found: Launch) -> None:
    online = [agent for agent in found["agents"] if agent["online_at"] is not None]
    for agent in online:
        state = f"online in pool {agent['pool']}"
        if agent["goal"] == "gone":
            say(f"{agent['id']} was {state}, and has ended: {agent['reason'] or agent['outcome']}")
        else:
            end = f"agentbroker agent terminate {agent['id']}"
            say(f"{agent['id']} is {state}; it ends when it stays idle, or now: {end}")
    if not online:
        say(f"launch {found['id']}: controller {found['controller']} is asked for {_agents(found)}")
        say(_how_to_follow(found))
