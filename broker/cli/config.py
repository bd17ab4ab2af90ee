"""`agentbroker config`: check, show, compare and explain `broker.yaml`, and begin one."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from broker.cli.options import Session, asks_broker

if TYPE_CHECKING:
    from broker.config.load import Checked
    from broker.config.model import BrokerFile

CONFIG_ENV = "AGENTBROKER_CONFIG"
DEFAULT_FILES = ("broker.yaml", "/etc/agentbroker/broker.yaml")
EXIT_CONFIG_INVALID = 3
EXIT_NO_SUCH_THING = 5


def default_file() -> str:
    """The config that is meant when none is named: AGENTBROKER_CONFIG, else the first of `DEFAULT_FILES` there is."""
    named = os.environ.get(CONFIG_ENV)
    return named or next((file for file in DEFAULT_FILES if Path(file).exists()), DEFAULT_FILES[0])


@click.group("config")
def config() -> None:
    """Check, show, compare and explain the config, and begin one.

    \b
    agentbroker config init --backend container > broker.yaml   a commented starter
    agentbroker config check broker.yaml                        all errors and warnings, with their places
    agentbroker config show pools.fargate --origin              what is in force, and where each value comes from
    """


@config.command("check")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@click.option("--json", "form", flag_value="json", help="Print objects.")
@click.option("--github", "form", flag_value="github", help="Print workflow commands, which become annotations.")
@click.option("--online", is_flag=True, help="If nothing is wrong, ask what 'agentbroker doctor' asks.")
@click.pass_context
def check(ctx: click.Context, files: tuple[str, ...], strict: bool, form: str | None, online: bool) -> None:
    """Say all that is wrong with FILE (default: AGENTBROKER_CONFIG, ./broker.yaml or /etc/agentbroker/broker.yaml).

    Exit codes: 0 may be used, 2 wrong usage, 3 invalid, 7 a check of doctor failed.
    """
    if online and (form or len(files) > 1):
        raise click.UsageError("--online is for one file and for people; programs call 'agentbroker doctor -o json'")
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
    invalid = errors or (strict and warnings)
    ctx.exit(EXIT_CONFIG_INVALID if invalid else _online(checked[0]) if online else 0)


def _online(checked: "Checked") -> int:
    from broker.cli.doctor import look_at_all, tell
    from broker.config.load import to_config

    return tell(look_at_all(to_config(checked)), "human")


@config.command("show")
@click.argument("path", default="")
@click.option("--config", "file", metavar="FILE", help="Default: as with 'check'.")
@click.option("--defaults", is_flag=True, help="Also what the file leaves to defaults.")
@click.option("--origin", is_flag=True, help="With the line, variable or default that each value comes from.")
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
@click.pass_context
def show(ctx: click.Context, path: str, file: str | None, *, defaults: bool, origin: bool, output: str) -> None:
    """Print what is in force at PATH, such as pools.fargate: overrides and inheritance resolved, secrets masked."""
    from broker.config import origins
    from broker.config.show import effective, find

    checked, content = _sound(ctx, file or default_file())
    try:
        if origin:
            found = origins.origins(checked, path, defaults=defaults)
            click.echo(origins.as_yaml(found) if output == "yaml" else _written(origins.as_objects(found), output))
            return
        click.echo(_written(find(effective(content, defaults=defaults), path), output))
    except KeyError as error:
        click.echo(f"agentbroker: {error.args[0]}", err=True)
        ctx.exit(EXIT_NO_SUCH_THING)


@config.command("schema")
def schema() -> None:
    """Print the JSON Schema (draft-07) of the config, for editors."""
    from broker.config.schema import schema

    click.echo(_written(schema(), "json"))


@config.command("init")
@click.option(
    "--backend",
    "backends",
    type=click.Choice(["process", "container", "aws-ecs", "aws-ecs-ec2", "alibaba-ecs", "ssh-hosts"]),
    multiple=True,
    default=["process"],
    show_default=True,
    help="What runs the agents; may be given more than once.",
)
@click.option("--discover", is_flag=True, help="With alibaba-ecs: add what there is in the account, as comments.")
@click.option("--region", metavar="REGION", help="With --discover: of this region, by the SDK's own credentials.")
@click.option("--from", "file", metavar="FILE", help="With --discover: by the credentials of this config's backend.")
def init(backends: tuple[str, ...], discover: bool, region: str | None, file: str | None) -> None:
    """Print a commented config to begin with."""
    from broker.config.starters import starter

    told = ""
    if discover:
        from broker.cli.discover_alibaba import as_comments

        if "alibaba-ecs" not in backends or bool(region) == bool(file):
            raise click.UsageError("--discover goes with --backend alibaba-ecs, and with --region or --from")
        told = as_comments(region, file)
    click.echo(starter(backends) + told, nl=False)


@config.command("explain")
@click.argument("path")
@click.pass_context
def explain(ctx: click.Context, path: str) -> None:
    """Print the doc of one key, such as pools.*.limits.agents."""
    from broker.config.documented import find
    from broker.config.explain import explained

    try:
        click.echo(explained(find(path)))
    except KeyError as error:
        click.echo(f"agentbroker: {error.args[0]}", err=True)
        ctx.exit(EXIT_NO_SUCH_THING)


@config.command("diff")
@click.argument("file", required=False)
@click.option("--from", "before", metavar="FILE", help="Compare with this file, not with the running broker.")
@asks_broker
@click.pass_context
def diff(ctx: click.Context, session: Session, file: str | None, before: str | None) -> None:
    """Say what a reload of FILE would change in the running broker, and which agents it touches.

    Exit codes: 3 invalid, 4 the broker cannot be reached.
    """
    from broker.cli.config_diff import with_broker, with_file

    _, new = _sound(ctx, file or default_file())
    if before:
        with_file(_sound(ctx, before)[1], new)
    else:
        with_broker(session, new)


def _sound(ctx: click.Context, file: str) -> "tuple[Checked, BrokerFile]":
    """A file without errors; else they are printed, and the command ends with 3."""
    from broker.config.load import check_file

    checked = check_file(file)
    if checked.file is None or checked.diagnostics.errors:
        click.echo(checked.diagnostics.render(), err=True)
        ctx.exit(EXIT_CONFIG_INVALID)
    return checked, checked.file


def _written(value: object, output: str) -> str:
    if output == "json":
        import json

        return json.dumps(value, indent=2, ensure_ascii=False)
    import yaml

    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110)
    return text.removesuffix("\n").removesuffix("\n...")
