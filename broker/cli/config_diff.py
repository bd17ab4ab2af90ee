"""`agentbroker config diff`: what a reload would change."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from broker.config.diff import Content, Touched, changes, touched
from broker.config.show import content, masked

if TYPE_CHECKING:
    from broker.cli.options import Session
    from broker.config.model import BrokerFile

_MOST_NAMES = 20


def compare(before: Content, after: Content) -> Touched:
    """Prints the changes, and what they are about."""
    found = changes(before, after)
    for change in found:
        click.echo(str(change))
    if not found:
        click.echo("nothing differs", err=True)
    about = touched(found, before, after)
    for noun, names in (("controllers", about.controllers), ("policies", about.policies), ("pools", about.pools)):
        if names:
            click.echo(f"touches {noun}: {', '.join(sorted(names))}", err=True)
    return about


def with_file(old: "BrokerFile", new: "BrokerFile") -> None:
    """From one file to another."""
    compare(content(old), content(new))


def with_broker(session: "Session", new: "BrokerFile") -> None:
    """From what is in force to a file, and which living agents that touches."""
    about = compare(session.client.get("config")["content"], masked(content(new)))
    agents = session.client.get("agents")["items"]
    reached = [one for one in agents if about.reaches(**_place(one))]
    ending = [one for one in reached if about.ends(**_place(one))]
    if reached:
        click.echo(f"touches {len(reached)} living agents: {_names(reached)}", err=True)
    if ending:
        click.echo(f"{len(ending)} of them end after their builds: {_names(ending)}", err=True)


def _place(agent: Mapping[str, Any]) -> dict[str, Any]:
    return {"controller": agent["controller"], "policy": agent["policy"], "pool": agent.get("pool")}


def _names(agents: list[dict[str, Any]]) -> str:
    names = sorted(str(one["id"]) for one in agents)
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
