"""`agentbroker version`."""

import click


@click.command("version")
def version() -> None:
    """Print the version."""
    from broker.version import VERSION

    click.echo(f"agentbroker {VERSION}")
