"""`agentbroker discover`: what there is in a cloud account that a config could name."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

import click

from broker.cli.aws import chosen_backend
from broker.cli.discover_alibaba import alibaba
from broker.cli.exits import FAILED, CliError
from broker.cli.found import show

if TYPE_CHECKING:
    from broker.backends.aws_ecs.options import BackendOptions

_KINDS: Final = ("clusters", "capacity-providers", "subnets", "security-groups", "task-definitions")


@click.group("discover")
def discover() -> None:
    """Show what there is in a cloud account, to write it into the config. Nothing is changed."""


discover.add_command(alibaba)


@discover.command("aws")
@click.argument("kind", type=click.Choice(_KINDS))
@click.option("--backend", metavar="NAME", help="With the credentials and region of this backend of the config.")
@click.option("--config", "file", metavar="FILE", help="Default: as with 'config check'.")
@click.option("--region", metavar="REGION", help="Without a config: this region.")
@click.option("--profile", metavar="NAME", help="Without a config: this profile of the SDK's files.")
@click.option("--endpoint-url", metavar="URL", help="Without a config: an API that stands for AWS's.")
@click.option("--in", "narrow", metavar="NAME", default="", help="Only of this cluster, VPC or family.")
@click.option("-o", "--output", type=click.Choice(["human", "json", "jsonl"]), help="Default: human.")
@click.pass_context
def aws(
    ctx: click.Context,
    /,
    kind: str,
    backend: str | None,
    file: str | None,
    narrow: str,
    output: str | None,
    **here: str | None,
) -> None:
    """Clusters, capacity providers, subnets, security groups or task definitions of one account and region.

    \b
    agentbroker discover aws clusters --region eu-west-1 --profile ci
    agentbroker discover aws capacity-providers --backend aws --in ci
    agentbroker discover aws subnets --in vpc-0a1 -o json
    agentbroker discover aws task-definitions --in builds     its revisions

    Without --region, --profile and --endpoint-url the config's only backend on AWS is meant. Exit codes: 0 done,
    1 AWS refuses, 2 wrong usage, 3 config invalid, 5 no such backend.
    """
    from broker.backends.aws_ecs.options import BackendOptions

    if any(here.values()):
        if backend or file:
            raise click.UsageError("--region, --profile and --endpoint-url stand in place of --backend and --config")
        given: dict[str, Any] = {key: value or "" for key, value in here.items()}
        options, name = BackendOptions(**given), ""
    else:
        used = chosen_backend(file, backend)
        options, name = used.options, used.name
    found = asyncio.run(_find(kind, narrow, options, name))
    _print(kind, narrow, found, output or ctx.find_root().params.get("output") or "human")


async def _find(kind: str, narrow: str, options: "BackendOptions", name: str) -> list[dict[str, Any]]:
    from broker.backends.aws_ecs.session import Sessions
    from broker.clock import SystemClock
    from broker.doctor.aws_ask import Cloud, Refused
    from broker.doctor.aws_found import KINDS

    if narrow and not KINDS[kind].narrowed_by:
        raise click.UsageError(f"--in narrows {', '.join(one for one, known in KINDS.items() if known.narrowed_by)}")
    sessions = Sessions(options, SystemClock(), name)
    try:
        return await KINDS[kind].find(Cloud(sessions, name), narrow)
    except Refused as refused:
        raise CliError(
            FAILED, refused.message, refused.hint or "say whose account with --profile and --region, or --backend"
        ) from refused
    finally:
        await sessions.close()


def _print(kind: str, narrow: str, found: list[dict[str, Any]], output: str) -> None:
    from broker.doctor.aws_found import KINDS

    show(KINDS[kind].title, KINDS[kind].columns, found, output)
    if not found and output not in {"json", "jsonl"}:
        click.echo(f"no {kind.replace('-', ' ')}" + (f" of {narrow}" if narrow else "") + " there", err=True)
