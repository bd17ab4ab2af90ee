"""`agentbroker doctor`: asks controllers, the gateway and clouds what agents need, and explains each wrong answer."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from broker.cli.config import default_file
from broker.cli.exits import CHECK_FAILED, NO_SUCH_THING, CliError
from broker.cli.output import emit_json, emit_line, say

if TYPE_CHECKING:
    from broker.config.settings import Config
    from broker.doctor.report import Check, Wrong

_ASKED: Final = frozenset({"aws-ecs", "alibaba-ecs", "ssh-hosts"})
"""Types of backends that there is something to ask of."""
_SIGNS: Final = {"ok": "✔", "warning": "!", "failed": "✖", "skipped": "-"}


@click.command("doctor")
@click.option("--config", "file", metavar="FILE", help="Default: as with 'config check'.")
@click.option("--controller", "names", multiple=True, metavar="NAME", help="Look at this controller; may be repeated.")
@click.option("--gateway", is_flag=True, help="Look at the gateway, at the address that agents are given.")
@click.option("--backend", "backends", multiple=True, metavar="NAME", help="Look at this backend; may be repeated.")
@click.option("--node", metavar="NAME", help="With one --controller: a node of it, with --secret-file.")
@click.option("--secret-file", type=click.Path(dir_okay=False, path_type=Path), help="File with the node's secret.")
@click.option("-o", "--output", type=click.Choice(["human", "json", "jsonl"]), help="Default: human.")
@click.pass_context
def doctor(
    ctx: click.Context,
    /,
    file: str | None,
    names: tuple[str, ...],
    backends: tuple[str, ...],
    gateway: bool,
    output: str | None,
    **shown: Any,
) -> None:
    """Ask the controllers, the gateway and the clouds of the config what agents need, without disturbing any.

    \b
    agentbroker doctor                           all that is configured
    agentbroker doctor --controller main         one controller
    agentbroker doctor --gateway -o json         the gateway, for programs
    agentbroker doctor --backend aws             keys, rights, cluster and network of a cloud

    Nothing is started or changed. Exit codes: 0 no check failed, 2 wrong usage, 3 config invalid, 5 no such controller
    or backend, 7 a check failed.
    """
    from broker.config.load import load

    node, secret_file = shown["node"], shown["secret_file"]
    if (node is None) != (secret_file is None) or (node is not None and len(names) != 1):
        raise click.UsageError("--node and --secret-file go together, with one --controller")
    config = load(file or default_file())
    known = config.definitions
    if names or gateway or backends:
        _must_be(known.controllers, names, "controller")
        _must_be(known.backends, backends, "backend")
    else:
        names, gateway, backends = tuple(known.controllers), True, _clouds(config)
    secret = None if secret_file is None else (node, _secret(secret_file))
    checks = asyncio.run(_look(config, _Wanted(names, secret, gateway, backends)))
    ctx.exit(tell(checks, output or ctx.find_root().params.get("output") or "human"))


def look_at_all(config: "Config") -> "list[Check]":
    """The checks of every controller, of the gateway and of every backend on a cloud."""
    wanted = _Wanted(tuple(config.definitions.controllers), None, True, _clouds(config))
    return asyncio.run(_look(config, wanted))


def _clouds(config: "Config") -> tuple[str, ...]:
    """The backends that there is something to ask of."""
    return tuple(str(name) for name, backend in config.definitions.backends.items() if backend.type in _ASKED)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is looked at; `node` is a node's name and secret."""

    controllers: tuple[str, ...]
    node: tuple[str, str] | None
    gateway: bool
    backends: tuple[str, ...]


def _must_be(configured: Iterable[str], named: Iterable[str], noun: str) -> None:
    known = list(configured)
    if unknown := [name for name in named if name not in known]:
        told = f"configured: {', '.join(known) or 'none'}"
        raise CliError(NO_SUCH_THING, f"no {noun} '{unknown[0]}' in the config", told)


async def _look(config: "Config", wanted: _Wanted) -> "list[Check]":
    checks = [check for name in wanted.backends for check in await _backend(config, name)]
    checks += [check for name in wanted.controllers for check in await _controller(config, name, wanted.node)]
    return checks + (await _gateway(config) if wanted.gateway else [])


async def _backend(config: "Config", name: str) -> "list[Check]":
    """Clouds are asked; a backend of this machine has nothing to ask."""
    from broker.doctor.report import Report
    from broker.domain.ids import BackendName

    if name not in _clouds(config):
        report = Report(f"backend {name}")
        kind = config.definitions.backends[BackendName(name)].type
        report.skip(("cloud",), f"agents of type {kind} run without one")
        return report.checks
    if config.definitions.backends[BackendName(name)].type == "ssh-hosts":
        return await _ssh_hosts(config, name)
    if config.definitions.backends[BackendName(name)].type == "alibaba-ecs":
        return await _alibaba(config, name)
    from broker.backends.aws_ecs.used import Used
    from broker.clock import SystemClock
    from broker.doctor.aws import AwsVisit

    used = Used.of(config.definitions, name)
    return await AwsVisit(used=used, clock=SystemClock(), agents_dial=_dialled(config)).checks()


async def _ssh_hosts(config: "Config", name: str) -> "list[Check]":
    from broker.clock import SystemClock
    from broker.doctor.ssh_hosts import SshHostsVisit

    return await SshHostsVisit(definitions=config.definitions, name=name, clock=SystemClock()).checks()


async def _alibaba(config: "Config", name: str) -> "list[Check]":
    from broker.backends.alibaba_ecs.used import Used
    from broker.clock import SystemClock
    from broker.doctor.alibaba import AlibabaVisit

    return await AlibabaVisit(used=Used.of(config.definitions, name), clock=SystemClock()).checks()


def _dialled(config: "Config") -> tuple[str, int]:
    """Host and port that agents connect to, by the address that they are given."""
    from broker.inbound.address import parse_base

    base = parse_base(config.gateway.agent_url)
    return base.host, base.port


async def _controller(config: "Config", name: str, node: tuple[str, str] | None) -> "list[Check]":
    from broker.doctor.certificate import trusting
    from broker.doctor.controller import ControllerVisit, Node
    from broker.doctor.report import Wrong
    from broker.domain.ids import ControllerName

    definitions = config.definitions
    near = {name for name, backend in definitions.backends.items() if backend.type == "process"}
    pools = tuple(pool for pool in definitions.pools.values() if pool.backend in near)
    shown = None if node is None else Node(name=node[0], secret=node[1])
    controller = definitions.controllers[ControllerName(name)]
    try:
        trust = trusting(Path(controller.ca_file) if controller.ca_file else None)
    except Wrong as wrong:
        return [_unusable(f"controller {name}", wrong)]
    return await ControllerVisit(controller=controller, trust=trust, pools=pools, node=shown).checks()


async def _gateway(config: "Config") -> "list[Check]":
    from broker.doctor.certificate import trusting
    from broker.doctor.gateway import GatewayVisit
    from broker.doctor.report import Wrong

    ca_file = config.gateway.tls.ca_file if config.gateway.tls else None
    try:
        trust = trusting(ca_file)
    except Wrong as wrong:
        return [_unusable("gateway", wrong)]
    controllers = tuple(config.definitions.controllers.values())
    url = config.gateway.agent_url
    return await GatewayVisit(url=url, controllers=controllers, trust=trust, ca_file=ca_file).checks()


def _unusable(subject: str, wrong: "Wrong") -> "Check":
    from broker.doctor.report import Check, Status

    failed = {"name": "certificate", "message": wrong.message, "hint": wrong.hint}
    return Check(subject=subject, status=Status.FAILED, **failed)


def _secret(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{file} cannot be read: {error}") from error


def tell(checks: "Sequence[Check]", output: str) -> int:
    """Prints them in the form that was asked for; the exit code is that of a failed check, if there is one."""
    _print(checks, output)
    return CHECK_FAILED if any(check.status == "failed" for check in checks) else 0


def _print(checks: "Sequence[Check]", output: str) -> None:
    objects = [asdict(check) for check in checks]
    if output == "json":
        emit_json({"api": "v1", "kind": "Doctor", "items": objects})
        return
    if output == "jsonl":
        for found in objects:
            emit_line(found)
        return
    widths = [max((len(str(found[key])) for found in objects), default=0) for key in ("subject", "name")]
    before = ""
    for check in checks:
        subject, before = "" if check.subject == before else check.subject, check.subject
        say(f"{subject.ljust(widths[0])}  {_SIGNS[check.status]} {check.name.ljust(widths[1])}  {check.message}")
        if check.hint:
            say(f"{' ' * (sum(widths) + 6)}help: {check.hint}")
    counts = [sum(check.status == status for check in checks) for status in ("ok", "warning", "failed")]
    say(f"{counts[0]} ok, {counts[1]} {'warning' if counts[1] == 1 else 'warnings'}, {counts[2]} failed")
