"""`agentbroker gateway`: the gateway alone, as a unit of its own."""

import asyncio
import signal
from contextlib import suppress
from pathlib import Path

import click

from broker.config.settings import Config
from broker.errors import BrokerError, ConfigError
from broker.gateway.linktls import control_at
from broker.gateway.presence import Presence
from broker.gateway.process import Gateway, run_gateway
from broker.gateway.settings import GatewaySettings
from broker.gateway.spawn import LISTENS


def gateway_settings(config: Config) -> GatewaySettings:
    """What a gateway needs of the config. Raises `GatewayError` for what does not fit."""
    gateway, controllers = config.gateway, config.definitions.controllers
    return GatewaySettings(
        control=control_at(gateway.control, gateway.control_tls),
        controllers={str(name): controller.url for name, controller in controllers.items()},
        paths={controller.gateway_path: str(name) for name, controller in controllers.items()},
        listen_host=gateway.websocket.host,
        listen_port=gateway.websocket.port,
        tls_cert=gateway.tls.cert_file if gateway.tls else None,
        tls_key=gateway.tls.key_file if gateway.tls else None,
        http_host=gateway.http.host if gateway.http else "127.0.0.1",
        http_port=gateway.http.port if gateway.http else None,
        presence=Presence.of(
            interval_s=gateway.ping_interval.total_seconds(), timeout_s=gateway.ping_timeout.total_seconds()
        ),
        tcp_controllers=config.definitions.tcp_controllers,
        tcp_host=gateway.tcp.host if gateway.tcp else "127.0.0.1",
        tcp_port=gateway.tcp.port if gateway.tcp else None,
        tcp_advertise=(gateway.tcp_advertise.host, gateway.tcp_advertise.port) if gateway.tcp_advertise else None,
        identity=gateway.identity,
        allow_cidrs=gateway.allow_cidrs,
        log_format=config.server.log.format,
        log_level=config.server.log.level,
    )


@click.command("gateway")
@click.option(
    "--config",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The broker.yaml that the control plane has too.",
)
@click.option("--settings", type=click.Path(exists=True, dir_okay=False, path_type=Path), hidden=True)
def gateway(path: Path | None, settings: Path | None) -> None:
    """Runs the gateway that agents connect to; it goes on without the control plane."""
    from broker.telemetry.log import configure

    try:
        read = GatewaySettings.read(settings) if settings is not None else _configured(path)
        configure(read.log_format, read.log_level)
        asyncio.run(_until_told(read))
    except ConfigError:
        raise
    except BrokerError as error:
        raise click.ClickException(str(error)) from error
    except (OSError, ValueError) as error:  # a certificate or a URL that cannot be used
        raise click.ClickException(f"the gateway cannot start: {error}") from error


def _configured(path: Path | None) -> GatewaySettings:
    from broker.config.load import load

    if path is None:
        raise click.UsageError("name the config: --config broker.yaml")
    config = load(path, starting=True)
    if config.warnings:
        click.echo(config.warnings, err=True)
    return gateway_settings(config)


async def _until_told(settings: GatewaySettings) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):  # told to stop: all sessions have ended
        await run_gateway(settings, _say)


def _say(running: Gateway) -> None:
    click.echo(f"{LISTENS} {running.address}", err=True)
