"""`agentbroker version`."""

import click


@click.command("version")
def version() -> None:
    """Print the version, and the commit that it was built from."""
    from broker.version import REVISION, VERSION

    click.echo(f"agentbroker {VERSION}" + (f" ({REVISION})" if REVISION else ""))
