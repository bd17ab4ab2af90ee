"""`agentbroker discover ali`: what there is in an account on Alibaba Cloud that a config could name."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

import click

from broker.cli.alibaba import chosen_backend
from broker.cli.exits import FAILED, CliError
from broker.cli.found import show

if TYPE_CHECKING:
    from broker.backends.alibaba_ecs.options import BackendOptions

_KINDS: Final = ("images", "zones", "types", "vpcs", "vswitches", "security-groups", "key-pairs")
_SHOWN: Final = 20
"""So many of a kind are written into a new config."""


@click.command("ali")
@click.argument("kind", type=click.Choice(_KINDS))
@click.option("--backend", metavar="NAME", help="With the credentials and region of this backend of the config.")
@click.option("--config", "file", metavar="FILE", help="Default: as with 'config check'.")
@click.option("--region", metavar="REGION", help="Without a config: this region, with the SDK's own credentials.")
@click.option("--endpoint-url", metavar="URL", help="With --region: an API that stands for Alibaba Cloud's.")
@click.option("--in", "narrow", metavar="NAME", default="", help="Only of this VPC, zone or owner of images.")
@click.option("-o", "--output", type=click.Choice(["human", "json", "jsonl"]), help="Default: human.")
@click.pass_context
def alibaba(
    ctx: click.Context,
    /,
    kind: str,
    backend: str | None,
    file: str | None,
    narrow: str,
    output: str | None,
    **here: str | None,
) -> None:
    """Images, zones, instance types, VPCs, vSwitches, security groups or key pairs of one account and region.

    \b
    agentbroker discover ali images --region cn-hangzhou --in system
    agentbroker discover ali types --backend ali --in cn-hangzhou-h
    agentbroker discover ali vswitches --in vpc-bp1 -o json

    Without --region the config's only backend of type alibaba-ecs is meant. A list is whole or not there: a page that
    fails is an error. Exit codes: 0 done, 1 the cloud refuses, 2 wrong usage, 3 config invalid, 5 no such backend.
    """
    from broker.doctor.alibaba_found import KINDS

    region, endpoint_url = here["region"], here["endpoint_url"]
    if endpoint_url and not region:
        raise click.UsageError("--endpoint-url goes with --region")
    if narrow and not KINDS[kind].narrowed_by:
        raise click.UsageError(f"--in narrows {', '.join(one for one, known in KINDS.items() if known.narrowed_by)}")
    options, name = _given(region, endpoint_url) if region else _configured(file, backend)
    found = asyncio.run(find(kind, narrow, options, name))
    form = output or ctx.find_root().params.get("output") or "human"
    show(KINDS[kind].title, KINDS[kind].columns, found, form)
    if not found and form not in {"json", "jsonl"}:
        click.echo(f"no {kind.replace('-', ' ')}" + (f" of {narrow}" if narrow else "") + " there", err=True)


def _given(region: str, endpoint_url: str | None) -> "tuple[BackendOptions, str]":
    from broker.backends.alibaba_ecs.options import BackendOptions

    endpoints = dict.fromkeys(("ecs", "vpc", "sts"), endpoint_url) if endpoint_url else {}
    return BackendOptions(region=region, endpoints=endpoints), ""


def _configured(file: str | None, backend: str | None) -> "tuple[BackendOptions, str]":
    from broker.backends.alibaba_ecs.options import BackendOptions
    from broker.domain.ids import BackendName

    config, name = chosen_backend(file, backend)
    return BackendOptions.of(config.definitions.backends[BackendName(name)]), name


async def find(kind: str, narrow: str, options: "BackendOptions", name: str) -> list[dict[str, Any]]:
    """All things of a kind. CliError if the cloud refuses, with how far it came."""
    from broker.backends.alibaba_ecs.session import Sessions
    from broker.clock import SystemClock
    from broker.doctor.alibaba_ask import AlibabaCloud, Refused
    from broker.doctor.alibaba_found import KINDS
    from broker.errors import BackendError

    sessions = Sessions(options, SystemClock(), name)
    try:
        return await KINDS[kind].find(AlibabaCloud(sessions, name), narrow)
    except Refused as refused:
        raise CliError(
            FAILED, refused.message, refused.hint or "say whose account and region with --backend"
        ) from refused
    except BackendError as error:
        raise CliError(FAILED, error.message, "say whose account and region with --backend") from error
    finally:
        await sessions.close()


def as_comments(region: str | None, file: str | None) -> str:
    """All kinds of things that a pool names, as comments under the keys that take them."""
    options, name = _given(region, None) if region else _configured(file, None)
    return "".join(asyncio.run(_commented(options, name)))


async def _commented(options: "BackendOptions", name: str) -> list[str]:
    from broker.doctor.alibaba_found import KINDS

    lines = [f"\n# What there is in {options.region}:\n"]
    for kind, known in KINDS.items():
        found = await find(kind, "", options, name)
        if kind == "types":
            found = [one for one in found if one["zones"] or one["spot_zones"]]
        lines.append(f"# {known.key or kind}:{'' if found else ' none'}\n")
        for one in found[:_SHOWN]:
            lines.append(f"#   {'  '.join(_word(one[column]) for column in known.columns if _word(one[column]))}\n")
        if len(found) > _SHOWN:
            lines.append(f"#   and {len(found) - _SHOWN} more: agentbroker discover ali {kind}\n")
    return lines


def _word(value: object) -> str:
    """A cell of a comment: one line."""
    if isinstance(value, list):
        return ",".join(str(one) for one in value)
    return "" if isinstance(value, bool) else " ".join(str(value).split())
