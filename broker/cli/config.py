"""`agentbroker config`: check and show `broker.yaml`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from broker.config.load import Checked

CONFIG_ENV = "AGENTBROKER_CONFIG"
DEFAULT_FILES = ("broker.yaml", "/etc/agentbroker/broker.yaml")
EXIT_CONFIG_INVALID = 3


def default_file() -> str:
    """The config that is meant when none is named: AGENTBROKER_CONFIG, else the first of `DEFAULT_FILES` there is."""
    named = os.environ.get(CONFIG_ENV)
    return named or next((file for file in DEFAULT_FILES if Path(file).exists()), DEFAULT_FILES[0])


@click.group("config")
def config() -> None:
    """Check and show the config.

    \b
    agentbroker config check broker.yaml                 all errors and warnings, with their places
    agentbroker config check --strict --github           for CI: warnings fail, annotations
    agentbroker config show pools.fargate --defaults     what is in force
    """


@config.command("check")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@click.option("--json", "form", flag_value="json", help="Print objects.")
@click.option("--github", "form", flag_value="github", help="Print workflow commands, which become annotations.")
@click.pass_context
def check(ctx: click.Context, files: tuple[str, ...], strict: bool, form: str | None) -> None:
    """Say all that is wrong with FILE (default: AGENTBROKER_CONFIG, ./broker.yaml or /etc/agentbroker/broker.yaml).

    Exit codes: 0 may be used, 2 wrong usage, 3 invalid.
    """
    from broker.config.diagnostics import as_json
    from broker.config.load import check_file

    checked = [check_file(file) for file in files or (default_file(),)]
    if form == "json":
        click.echo(as_json([c.diagnostics for c in checked]))
    elif form == "github":
        for found in checked:
            if found.diagnostics.items:
                click.echo(found.diagnostics.as_github())
    else:
        click.echo("\n\n".join(c.diagnostics.render() or f"{c.diagnostics.file}: ok" for c in checked))
    errors = sum(c.diagnostics.errors for c in checked)
    warnings = sum(c.diagnostics.warnings for c in checked)
    ctx.exit(EXIT_CONFIG_INVALID if errors or (strict and warnings) else 0)


@config.command("show")
@click.argument("path", default="")
@click.option("--config", "file", metavar="FILE", help="Default: as with 'check'.")
@click.option("--defaults", is_flag=True, help="Also what the file leaves to defaults.")
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
@click.pass_context
def show(ctx: click.Context, path: str, file: str | None, defaults: bool, output: str) -> None:
    """Print what is in force at PATH, such as pools.fargate: inheritance resolved, secrets masked."""
    from broker.config.load import check_file
    from broker.config.show import effective, find

    checked: Checked = check_file(file or default_file())
    if checked.file is None or checked.diagnostics.errors:
        click.echo(checked.diagnostics.render(), err=True)
        ctx.exit(EXIT_CONFIG_INVALID)
    try:
        value = find(effective(checked.file, defaults=defaults), path)
    except KeyError as error:
        click.echo(f"agentbroker: {error.args[0]}", err=True)
        ctx.exit(1)
    click.echo(_written(value, output))


def _written(value: object, output: str) -> str:
    if output == "json":
        import json

        return json.dumps(value, indent=2, ensure_ascii=False)
    import yaml

    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110)
    return text.removesuffix("\n").removesuffix("\n...")
