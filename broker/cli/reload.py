"""`agentbroker reload`: the running broker reads its config anew."""

from typing import Any

import click

from broker.cli.exits import CONFIG_INVALID, CliError
from broker.cli.options import Session, asks_broker
from broker.cli.output import emit_json, emit_line


@click.command("reload")
@click.option("--dry-run", is_flag=True, help="Only say what it would change.")
@asks_broker
def reload(session: Session, dry_run: bool) -> None:
    """Put the config file in force: all of it, or nothing if it has an error.

    \b
    agentbroker reload --dry-run
    agentbroker reload
    """
    done = asked(session, dry_run=dry_run)
    match session.output:
        case "json":
            emit_json(done)
        case "jsonl":
            emit_line(done)
        case _:
            click.echo("\n".join(done["lines"]))


def asked(session: Session, *, dry_run: bool) -> dict[str, Any]:
    """The broker's answer; a config that cannot be used ends the command with its code."""
    try:
        return session.client.post("reload", {"dry_run": dry_run})
    except CliError as error:
        if error.kind == "config_invalid":
            error.code = CONFIG_INVALID
        raise
