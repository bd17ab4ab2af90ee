"""`agentbroker init`: writes what others need to find this broker."""

import hashlib
import re
from pathlib import Path

import click

from broker.cli.jenkins_home import Entry, Wrote, install, remove

_PEM = click.Path(exists=True, dir_okay=False, resolve_path=True)


@click.group("init")
def init() -> None:
    """Write the files that Jenkins needs."""


@init.command("jenkins")
@click.option("--home", type=click.Path(path_type=Path), envvar="JENKINS_HOME", required=True, help="The JENKINS_HOME.")
@click.option("--broker", metavar="HOST:PORT", help="Where server.grpc listens, as Jenkins reaches it.")
@click.option("--controller", default="main", show_default=True, help="Its name in broker.yaml, for the lines to add.")
@click.option("--name", help="The cloud's name in Jenkins: one for each broker.  [default: agentbroker]")
@click.option("--cloud", hidden=True, help="Its name before 0.2, for the first broker alone.")
@click.option("--tls/--no-tls", default=None, help="TLS to the broker.  [default: unless it is on loopback]")
@click.option("--ca-file", "--ca", "ca", type=_PEM, help="CA for TLS, PEM.")
@click.option(
    "--cert-file",
    "--cert",
    "cert",
    type=_PEM,
    help="Jenkins' own certificate, PEM: where the broker has a client_ca_file.",
)
@click.option(
    "--key-file", "--key", "key", type=_PEM, help="The key of that certificate, PEM; readable by Jenkins alone."
)
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Holds the controller's token.  [default: the one that is there, else a new one]",
)
@click.option(
    "--remove", "uninstall", is_flag=True, help="Take all out again, or the broker --name; then restart Jenkins."
)
def jenkins(  # noqa: PLR0913  # one parameter an option
    *,
    home: Path,
    broker: str | None,
    controller: str,
    name: str | None,
    cloud: str | None,
    tls: bool | None,
    ca: str | None,
    cert: str | None,
    key: str | None,
    token_file: Path | None,
    uninstall: bool,
) -> None:
    """Put the cloud into a Jenkins: an init script, its sources, a client jar, properties and a token.

    \b
    agentbroker init jenkins --home /var/lib/jenkins --broker broker.example.com:7071 --ca-file ca.pem
    agentbroker init jenkins --home /var/lib/jenkins --name eu --broker broker.eu.example.com:7071
    agentbroker init jenkins --home /var/lib/jenkins --remove

    A second run renews the files and keeps the properties and the token, unless options say otherwise. With --name a
    controller has several brokers, each with a cloud, properties and a token of its own.
    """
    if name is not None and cloud is not None:
        raise click.UsageError("--cloud is --name of an earlier version: one of them is enough")
    if uninstall:
        removed = remove(home, name)
        _print("removed", removed)
        none = f"nothing of agentbroker is in {home}" if name is None else f"no broker {name!r} is in {home}"
        click.echo("next     restart Jenkins" if removed else none)
        return
    if broker is not None and not re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^\s:]+):\d{1,5}", broker):
        raise click.BadParameter(f"expected HOST:PORT, got {broker!r}", param_hint="--broker")
    flags = {"broker": broker, "name": cloud, "tls": None if tls is None else str(tls).lower()}
    flags |= {"ca_file": ca, "cert_file": cert, "key_file": key}
    if (cert is None) != (key is None):
        raise click.UsageError("--cert-file and --key-file belong together")
    given = {name: value for name, value in flags.items() if value is not None}
    _print("wrote", install(home, given, token_file.read_text().strip() if token_file else None, name))
    click.echo(_next(home, Entry.named(home, name), controller))


def _print(verb: str, paths: list[Wrote]) -> None:
    for one in paths:
        note = f"  ({one.note})" if one.note else ""
        click.echo(f"{verb:<8} {one.path}{note}")


def _next(home: Path, entry: Entry, controller: str) -> str:
    if not (home / entry.token).exists():
        return "next     restart Jenkins"
    digest = hashlib.sha256((home / entry.token).read_text().strip().encode()).hexdigest()
    return "\n".join(
        (
            "next     broker.yaml needs, with Jenkins' own URL, under controllers:",
            f"           {controller}: {{ url: https://…/, token_sha256: {digest} }}",
            "         then restart Jenkins",
        )
    )
