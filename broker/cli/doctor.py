"""`agentbroker doctor`: asks controllers and the gateway what agents would ask, and explains each wrong answer."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from broker.cli.config import default_file
from broker.cli.exits import CHECK_FAILED, NO_SUCH_THING, CliError
from broker.cli.output import emit_json, emit_line, say

if TYPE_CHECKING:
    from broker.config.settings import Config
    from broker.doctor.report import Check, Wrong

_SIGNS: Final = {"ok": "✔", "warning": "!", "failed": "✖", "skipped": "-"}


@click.command("doctor")
@click.option("--config", "file", metavar="FILE", help="Default: as with 'config check'.")
@click.option("--controller", "names", multiple=True, metavar="NAME", help="Look at this controller; may be repeated.")
@click.option("--gateway", is_flag=True, help="Look at the gateway, at the address that agents are given.")
@click.option("--node", metavar="NAME", help="With one --controller: a node of it, with --secret-file.")
@click.option("--secret-file", type=click.Path(dir_okay=False, path_type=Path), help="File with the node's secret.")
@click.option("-o", "--output", type=click.Choice(["human", "json", "jsonl"]), help="Default: human.")
@click.pass_context
def doctor(
    ctx: click.Context,
    file: str | None,
    names: tuple[str, ...],
    gateway: bool,
    node: str | None,
    secret_file: Path | None,
    output: str | None,
) -> None:
    """Ask the controllers and the gateway of the config what agents would ask, without disturbing any.

    \b
    agentbroker doctor                           all that is configured
    agentbroker doctor --controller main         one controller
    agentbroker doctor --gateway -o json         the gateway, for programs

    Nothing is started or changed. Exit codes: 0 no check failed, 2 wrong usage, 3 config invalid, 5 no such controller,
    7 a check failed.
    """
    from broker.config.load import load

    if (node is None) != (secret_file is None) or (node is not None and len(names) != 1):
        raise click.UsageError("--node and --secret-file go together, with one --controller")
    config = load(file or default_file())
    everything = not names and not gateway
    chosen = names or (tuple(config.definitions.controllers) if everything else ())
    if unknown := [name for name in chosen if name not in config.definitions.controllers]:
        known = ", ".join(config.definitions.controllers) or "none"
        raise CliError(NO_SUCH_THING, f"no controller '{unknown[0]}' in the config", f"configured: {known}")
    secret = None if secret_file is None else _secret(secret_file)
    checks = asyncio.run(_look(config, chosen, node, secret, gateway=gateway or everything))
    ctx.exit(tell(checks, output or ctx.find_root().params.get("output") or "human"))


def look_at_all(config: "Config") -> "list[Check]":
    """The checks of every controller and of the gateway."""
    return asyncio.run(_look(config, tuple(config.definitions.controllers), None, None, gateway=True))


async def _look(
    config: "Config", names: Sequence[str], node: str | None, secret: str | None, *, gateway: bool
) -> "list[Check]":
    from broker.doctor.certificate import trusting
    from broker.doctor.controller import ControllerVisit, Node
    from broker.doctor.gateway import GatewayVisit
    from broker.doctor.report import Check, Wrong
    from broker.domain.ids import ControllerName

    definitions, checks = config.definitions, list[Check]()
    near = {name for name, backend in definitions.backends.items() if backend.type == "process"}
    pools = tuple(pool for pool in definitions.pools.values() if pool.backend in near)
    shown = None if node is None or secret is None else Node(name=node, secret=secret)
    for name in names:
        controller = definitions.controllers[ControllerName(name)]
        try:
            trust = trusting(Path(controller.ca_file) if controller.ca_file else None)
        except Wrong as wrong:
            checks.append(_unusable(f"controller {name}", wrong))
            continue
        checks += await ControllerVisit(controller=controller, trust=trust, pools=pools, node=shown).checks()
    if gateway:
        ca_file = config.gateway.tls.ca_file if config.gateway.tls else None
        try:
            trust = trusting(ca_file)
        except Wrong as wrong:
            return [*checks, _unusable("gateway", wrong)]
        controllers = tuple(definitions.controllers.values())
        url = config.gateway.agent_url
        checks += await GatewayVisit(url=url, controllers=controllers, trust=trust, ca_file=ca_file).checks()
    return checks


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
