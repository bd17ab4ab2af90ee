"""`agentbroker cleanup`: removes what the broker has made in a cloud account and nothing needs any more."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from broker.cli.alibaba import chosen_backend
from broker.cli.exits import DONE, FAILED, REFUSED, CliError
from broker.cli.output import emit_json, emit_table, joined, say

if TYPE_CHECKING:
    from broker.backends.alibaba_ecs.network_cleanup import Cleanup, Ours
    from broker.config.settings import Config


@click.group("cleanup")
def cleanup() -> None:
    """Remove what the broker has made in a cloud account beside agents and hosts."""


@cleanup.command("alibaba")
@click.option("--backend", metavar="NAME", help="Default: the config's only backend of type alibaba-ecs.")
@click.option("--config", "file", metavar="FILE", help="Default: as with 'config check'.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("-o", "--output", type=click.Choice(["human", "json"]), help="Default: human.")
@click.pass_context
def alibaba(ctx: click.Context, /, backend: str | None, file: str | None, yes: bool, output: str | None) -> None:
    """Remove the security group, the vSwitches and the VPC that auto_network has made, and nothing else.

    \b
    agentbroker cleanup alibaba                  shows what would go, and asks
    agentbroker cleanup alibaba --yes -o json    for scripts

    It runs where the broker runs, with its config and its state, while the broker does not run: that would make all
    anew. What is in use stays, and is named. Exit codes: 0 all is gone, 1 something stays or the cloud refuses,
    2 wrong usage, 3 config invalid, 5 no such backend, 9 needs --yes.
    """
    config, name = chosen_backend(file, backend)
    state = config.server.state_dir / "broker.db"
    if config.server.database is None and not state.exists():
        raise CliError(FAILED, f"no broker has run here: there is no {state}", "run it where the broker runs")
    form = output or ctx.find_root().params.get("output") or "human"
    ctx.exit(asyncio.run(_cleanup(config, name, yes=yes, output=form)))


async def _cleanup(config: "Config", name: str, *, yes: bool, output: str) -> int:
    from broker.doctor.alibaba_ask import Refused
    from broker.errors import BackendError, StoreUnavailable

    try:
        async with _opened(config, name) as opened:
            return await _clean(opened, yes=yes, output=output)
    except StoreUnavailable as error:
        raise CliError(FAILED, str(error), "stop the broker; then run this where it runs, with its config") from error
    except (BackendError, Refused) as error:
        raise CliError(FAILED, error.message, f"agentbroker doctor --backend {name}") from error


async def _clean(opened: "Cleanup", *, yes: bool, output: str) -> int:
    found = await opened.find()
    unmarked = await opened.unmarked(found)
    if output == "human":
        _show(found, unmarked)
    if not found:
        _emit(output, [], unmarked)
        return DONE
    if not yes and not (output == "human" and sys.stdin.isatty() and click.confirm(f"Remove these {len(found)}?")):
        _emit(output, found, unmarked)
        click.echo("nothing was removed: say --yes", err=True)
        return REFUSED
    ended = list["Ours"]()
    async for one in opened.remove(found):
        ended.append(one)
        if output == "human":
            say(f"{'removed' if one.gone else 'stays  '}  {one.id}" + (f"  {one.why}" if one.why else ""))
    _emit(output, ended, unmarked)
    return DONE if all(one.gone for one in ended) else FAILED


def _show(found: "list[Ours]", unmarked: list[str]) -> None:
    if found:
        rows = [[one.id, one.name, one.zone or "-", one.block or "-", joined(one.hinders)] for one in found]
        emit_table(["ID", "NAME", "ZONE", "BLOCK", "IN USE BY"], rows)
    else:
        click.echo("nothing that auto_network has made is there", err=True)
    if unmarked:
        told = ", ".join(unmarked)
        click.echo(f"left alone, since their tags are not ours any more: {told}; remove them by hand", err=True)


def _emit(output: str, found: "list[Ours]", unmarked: list[str]) -> None:
    if output == "json":
        items: list[dict[str, Any]] = [{**asdict(one), "hinders": list(one.hinders)} for one in found]
        emit_json({"api": "v1", "kind": "NetworkCleanup", "items": items, "left_alone": unmarked})


@asynccontextmanager
async def _opened(config: "Config", name: str) -> "AsyncIterator[Cleanup]":
    """The broker's own state and key: by these it knows what is its own."""
    from broker.backends.alibaba_ecs.network import NetworkOf, memory_key
    from broker.backends.alibaba_ecs.network_cleanup import Cleanup
    from broker.backends.alibaba_ecs.network_kept import KeptNetwork
    from broker.backends.alibaba_ecs.options import BackendOptions
    from broker.backends.alibaba_ecs.session import Sessions
    from broker.clock import SystemClock
    from broker.doctor.alibaba_ask import AlibabaCloud
    from broker.domain.ids import BackendName
    from broker.keys import open_keyring
    from broker.store.engine import open_store
    from broker.store.kept import KeptText
    from broker.telemetry.metrics import Metrics

    definition, clock = config.definitions.backends[BackendName(name)], SystemClock()
    async with open_store(config.server, Metrics(clock)) as database:
        keyring = open_keyring(config.server.keys_dir, await database.recall("broker_key"))
        of = NetworkOf.of(definition, database.installation, keyring.sign)
        kept = KeptNetwork(KeptText(database, f"backend:{memory_key(name)}"), of.backend, of.region)
        sessions = Sessions(BackendOptions.of(definition), clock, name)
        try:
            yield Cleanup(marks=of.marks, ask=AlibabaCloud(sessions, name).call, kept=kept, clock=clock)
        finally:
            await sessions.close()
