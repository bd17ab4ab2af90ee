"""`agentbroker config diff`: what a reload would change."""

from typing import TYPE_CHECKING

import click

from broker.config.diff import changes, touched
from broker.config.show import content

if TYPE_CHECKING:
    from broker.config.model import BrokerFile


def compare(new: "BrokerFile", old: "BrokerFile | None") -> None:
    """Prints the changes from `old`, and the policies and pools that they are about."""
    if old is None:
        raise click.UsageError("name what to compare with: --from FILE")
    before, after = content(old), content(new)
    found = changes(before, after)
    for change in found:
        click.echo(str(change))
    if not found:
        click.echo("nothing differs", err=True)
        return
    about = touched(found, before, after)
    for noun, names in (("controllers", about.controllers), ("policies", about.policies), ("pools", about.pools)):
        if names:
            click.echo(f"touches {noun}: {', '.join(sorted(names))}", err=True)
