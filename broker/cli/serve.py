"""`agentbroker serve`: the control plane, and the gateway that comes with it."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import click

from broker.app import Broker, running_broker
from broker.cli.config import default_file
from broker.cli.gateway import gateway_settings
from broker.clock import SystemClock
from broker.config.load import load
from broker.config.settings import Config
from broker.errors import BrokerError, ConfigError, GatewayError
from broker.gateway.settings import GatewaySettings
from broker.gateway.spawn import GatewayProcess
from broker.telemetry import events, log
from broker.version import REVISION, VERSION


@click.command("serve")
@click.option("--config", "path", help="Without it: AGENTBROKER_CONFIG, ./broker.yaml, /etc/agentbroker/broker.yaml.")
@click.option("--no-gateway", is_flag=True, help="The control plane alone: run `agentbroker gateway` beside it.")
@click.option("--check", is_flag=True, help="Check the config as a start would, and leave.")
def serve(path: str | None, *, no_gateway: bool, check: bool) -> None:
    """Run the control plane, and a gateway started by it.

    \b
    agentbroker serve --config broker.yaml
    agentbroker serve --no-gateway --config /etc/agentbroker/broker.yaml
    """
    path = path or default_file()
    try:
        config = load(Path(path), starting=True)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(3)
    if config.warnings:
        click.echo(config.warnings, err=True)
    if check:
        return
    log.configure(config.server.log.format, config.server.log.level)
    failures: list[BrokerError] = []
    try:
        asyncio.run(_serve(config, with_gateway=not no_gateway))
    except* BrokerError as group:
        failures = _leaves(group)
    if failures:  # not up there: what is raised in `except*` comes out as a group in some versions of Python
        for line in sorted({str(error) for error in failures}):
            click.echo(f"agentbroker: {line}", err=True)
        sys.exit(1)


async def _serve(config: Config, *, with_gateway: bool) -> None:
    stopping, asked, at_once = asyncio.Event(), asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, _both, at_once, stopping)
    async with running_broker(config) as broker, _reloading(broker, asked):
        click.echo(
            f"agentbroker serves controllers on {config.server.grpc.listen.host}:{broker.grpc_port}, "
            f"http on {config.server.http.listen.host}:{broker.http_port}",
            err=True,
        )
        if not with_gateway:
            await stopping.wait()
            return
        gateway = _gateway(config, broker)
        await gateway.start_or_adopt()
        try:
            await _until(stopping, gateway)
        finally:
            if at_once.is_set():
                await gateway.stop()
            elif stopping.is_set():  # else something has failed: the gateway goes on, and the next start adopts it
                gateway.drain()


def _gateway(config: Config, broker: Broker) -> GatewayProcess:
    """The gateway's process. It reads what is in force from a file: the config on disk may be refused."""
    started, file = gateway_settings(config), config.server.state_dir / "gateway-settings.json"
    started.save(file)

    def renew(config: Config) -> None:
        now = replace(gateway_settings(config), control=started.control)  # ours stays where it is
        try:
            now.save(file)
        except GatewayError as error:
            click.echo(f"agentbroker: {error}", err=True)
        else:
            process.renew(_fingerprint(now))

    process = GatewayProcess(
        config.server.state_dir, ["gateway", "--settings", str(file)], SystemClock(), _fingerprint(started)
    )
    broker.reloader.applies.append(renew)
    broker.reloader.gateway_follows = True
    return process


def _fingerprint(settings: GatewaySettings) -> str:
    """Another version of the broker takes the place of a gateway too."""
    return f"{VERSION} {REVISION} {settings.fingerprint}"


@asynccontextmanager
async def _reloading(broker: Broker, asked: asyncio.Event) -> AsyncIterator[None]:
    """Reads the config anew whenever it is asked; those who ask while it is read are one more."""

    async def reload() -> None:
        while True:
            await asked.wait()
            asked.clear()
            try:
                result = await broker.reloader.reload()
            except ConfigError as error:
                click.echo(f"{error}\nagentbroker: the config was not reloaded; the former one is in force", err=True)
            except BrokerError as error:
                click.echo(f"agentbroker: the config was not reloaded: {error}", err=True)
            except Exception as error:  # a bug must not end what serves well with the former config
                events.CONFIG_RELOAD_FAILED.emit(message=type(error).__name__, exc_info=error)
                click.echo("agentbroker: the config was not reloaded: a bug, its log has the details", err=True)
            else:
                click.echo("\n".join(result.lines()), err=True)

    broker.reloader.applies.append(lambda config: log.configure(config.server.log.format, config.server.log.level))
    async with asyncio.TaskGroup() as group:
        reloading = group.create_task(reload(), name="serve:reload")
        try:
            yield
        finally:
            reloading.cancel()


def _both(one: asyncio.Event, other: asyncio.Event) -> None:
    one.set()
    other.set()


async def _until(stopping: asyncio.Event, gateway: GatewayProcess) -> None:
    async with asyncio.TaskGroup() as group:
        supervising = group.create_task(gateway.supervise(), name="serve:gateway")
        await stopping.wait()
        supervising.cancel()


def _leaves(group: BaseExceptionGroup[BrokerError]) -> list[BrokerError]:
    found: list[BrokerError] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
