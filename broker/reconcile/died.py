"""What it means that an instance has ended before its agent came online."""

import re
from collections.abc import Sequence
from typing import Final

from broker.domain.agent import Agent
from broker.domain.instance import Instance
from broker.domain.lengths import short
from broker.domain.reason import Reason
from broker.reconcile.context import Context
from broker.reconcile.watch import why_ended

_OF_REMOTING: Final = re.compile(r"hudson\.remoting|jenkinsci\.remoting|agent\.jar|jenkins-agent", re.IGNORECASE)
"""agent.jar names itself in every line of its log, and in its usage."""
_USAGE: Final = re.compile(r"^\s*usage:", re.IGNORECASE)


def why_died(ctx: Context, agent: Agent) -> tuple[Reason, str] | None:
    """As `why_ended`, of an agent that was never online: tells an image that is no inbound agent from one that failed.

    agent.jar ends with 0 only after it was connected, and it tells what it does. So a container that ends with 0, or
    with another program's usage, and has not knocked at the gateway with its secret, has run something else.
    """
    ended, seen = why_ended(ctx, agent), ctx.seen_of(agent)
    if ended is None or seen is None or seen.instance is None or ended[0] is not Reason.CONTAINER_EXITED:
        return ended
    if ctx.connected(agent) or ctx.sessions.turned_away(agent.id, agent.attempt) is not None:
        return ended
    instance, (_, message) = seen.instance, ended
    if not _is_other(instance.exit_code, instance.last_lines):
        return ended
    spoke = "spoke to Jenkins" if agent.direct else "spoke to the gateway"
    head = f"the container{_ran(instance)} ended and never {spoke}: is the image an inbound agent?"
    return Reason.NOT_AN_INBOUND_AGENT, f"{head} {message}".strip()


def _is_other(exit_code: int | None, lines: Sequence[str]) -> bool:
    if any(_OF_REMOTING.search(line) for line in lines):
        return False
    return exit_code == 0 or any(_USAGE.match(line) for line in lines)


def _ran(instance: Instance) -> str:
    times = instance.times
    if times.started is None or times.stopped is None:
        return ""
    return f" ran for {short(times.stopped - times.started)},"
