"""`agentbroker gateway`: the gateway alone, as a unit of its own."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from typing import Final

import click

from broker.config.settings import Config
from broker.domain.definitions import Controller
from broker.errors import BrokerError, ConfigError
from broker.gateway.facts import Facts
from broker.gateway.linktls import control_at
from broker.gateway.presence import Presence
from broker.gateway.settings import GatewaySettings
from broker.gateway.spawn import KEPT, LISTENS
from broker.gateway.supervisor import Supervisor
from broker.tls import Authorities


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
        facts={str(name): _facts(controller) for name, controller in controllers.items()},
        tcp_host=gateway.tcp.host if gateway.tcp else "127.0.0.1",
        tcp_port=gateway.tcp.port if gateway.tcp else None,
        tcp_advertise=(gateway.tcp_advertise.host, gateway.tcp_advertise.port) if gateway.tcp_advertise else None,
        identity=gateway.identity,
        allow_cidrs=gateway.allow_cidrs,
        processes=gateway.processes,
        drain_timeout_s=gateway.drain_timeout.total_seconds(),
        log_format=config.server.log.format,
        log_level=config.server.log.level,
    )


def _facts(controller: Controller) -> Facts:
    """What the config alone says; the rest comes over the link. Raises `TlsUnusable`."""
    host, port = controller.agent_address or ("", 0)
    where = f"controllers.{controller.name}.ca_file"
    authorities = Authorities(Path(controller.ca_file), where).current() if controller.ca_file else ()
    fixed = controller.agent_address is not None
    return Facts(host=host, port=port, fixed=fixed, authorities="".join(authorities))


_CHECK_S: Final = 60.0
_READABLE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("gateway")
@click.option("--config", "path", type=_READABLE, help="The broker.yaml that the control plane has too.")
@click.option("--settings", type=_READABLE, hidden=True)
@click.option("--check", is_flag=True, help="Check the config as a start would, and leave.")
@click.option("--beside", is_flag=True, help="Beside another gateway at the same addresses, which is to drain next.")
@click.option("--inherited", type=int, hidden=True)
def gateway(path: Path | None, settings: Path | None, *, check: bool, beside: bool, inherited: int | None) -> None:
    """Runs the gateway that agents connect to; it goes on without the control plane.

    SIGHUP: read the config anew, with a new gateway beside the old one, which keeps its sessions until they end.
    SIGTERM: accept no agent any more, and leave with the last session. SIGINT, or SIGTERM again: leave now.
    """
    arguments = ["--config", str(path)] if settings is None else ["--settings", str(settings)]
    try:
        if check:
            _read(path, settings)
            return
        left = asyncio.run(_supervise(path, settings, arguments, inherited, beside=beside))
    except ConfigError:
        raise
    except BrokerError as error:
        raise click.ClickException(str(error)) from error
    except (OSError, ValueError) as error:  # a certificate or a URL that cannot be used
        raise click.ClickException(f"the gateway cannot start: {error}") from error
    if left is not None:
        _become_newer(arguments, left)


async def _supervise(
    path: Path | None, settings: Path | None, arguments: list[str], inherited: int | None, *, beside: bool
) -> bytes | None:
    def say(listen: str) -> None:
        click.echo(f"{LISTENS} {listen}", err=True)

    def kept(why: str) -> None:
        click.echo(f"{KEPT} {why}", err=True)

    def read() -> GatewaySettings:
        return _read(path, settings)

    return await Supervisor(read, lambda: _would_start(arguments), say, kept, beside=beside).run(inherited)


def _read(path: Path | None, settings: Path | None) -> GatewaySettings:
    from broker.telemetry.log import configure

    read = GatewaySettings.read(settings) if settings is not None else _configured(path)
    configure(read.log_format, read.log_level)
    return read


def _configured(path: Path | None) -> GatewaySettings:
    from broker.config.load import load

    if path is None:
        raise click.UsageError("name the config: --config broker.yaml")
    config = load(path, starting=True)
    if config.warnings:
        click.echo(config.warnings, err=True)
    return gateway_settings(config)


async def _would_start(arguments: list[str]) -> str:
    """What the program that is installed now says to the config as it is now; empty if it would start."""
    process = await asyncio.create_subprocess_exec(
        *_command(arguments), "--check", stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE
    )
    try:
        async with asyncio.timeout(_CHECK_S):
            _, said = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return f"its check did not end within {_CHECK_S:g} s"
    return "" if process.returncode == 0 else said.decode(errors="replace").strip() or f"code {process.returncode}"


def _become_newer(arguments: list[str], left: bytes) -> None:
    """Puts the program that is installed now in the place of this one; the workers stay its children."""
    descriptor = os.memfd_create("agentbroker-gateway")
    os.write(descriptor, left)
    os.set_inheritable(descriptor, True)
    command = _command([*arguments, "--inherited", str(descriptor)])
    os.execv(command[0], command)  # noqa: S606 - no shell is meant


def _command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "broker", "gateway", *arguments]
