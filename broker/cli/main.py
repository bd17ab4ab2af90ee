"""The command `agentbroker`: its subcommands are imported when they are called, so that it starts fast."""

import difflib
import importlib
import sys
from collections.abc import Mapping
from typing import Final, NoReturn

import click

from broker.cli.exits import CONFIG_INVALID, EXIT_CODES, FAILED, INTERRUPTED, CliError
from broker.domain.printable import printable
from broker.errors import BrokerError, ConfigError

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "serve": ("broker.cli.serve:serve", "Run the broker, and a gateway that it starts."),
    "gateway": ("broker.cli.gateway:gateway", "Run the gateway alone."),
    "dev": ("broker.cli.dev:dev", "All in one, for a laptop."),
    "init": ("broker.cli.init:init", "Write the files that Jenkins needs."),
    "config": ("broker.cli.config:config", "Check, show, compare and explain the config."),
    "doctor": ("broker.cli.doctor:doctor", "Ask controllers, the gateway and clouds what agents need."),
    "discover": ("broker.cli.discover:discover", "Show what there is in a cloud account."),
    "iam": ("broker.cli.iam:iam", "Print the rights that the broker needs in a cloud account."),
    "cleanup": ("broker.cli.cleanup:cleanup", "Remove what the broker has made in a cloud account."),
    "status": ("broker.cli.status:status", "Say how the broker stands."),
    "get": ("broker.cli.get:get", "Show agents, hosts, pools, policies or controllers."),
    "explain": ("broker.cli.explain:explain", "Say why an agent waits, a pool rests, a label finds nothing."),
    "events": ("broker.cli.events:events", "Show what happened, and what happens."),
    "plan": ("broker.cli.plan:plan", "Say where agents would go, now or under another config."),
    "pool": ("broker.cli.pool:pool", "Pause, empty or change a pool for a time."),
    "host": ("broker.cli.host:host", "Ask for a host by hand, let one end, or delete it."),
    "agent": ("broker.cli.agent:agent", "Launch an agent by hand, or end one."),
    "reload": ("broker.cli.reload:reload", "Let the broker read its config anew."),
    "token": ("broker.cli.token:token", "Make, change and take back tokens of controllers."),
    "version": ("broker.cli.version:version", "Print the version."),
}
"""Name to where the click command is (`module:attribute`) and what it does, in a line."""


class LazyGroup(click.Group):
    """A group whose commands are imported only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggests the nearest command for one that does not exist."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            meant = difflib.get_close_matches(name, COMMANDS, n=1)
            suggestion = f"; did you mean '{meant[0]}'?" if meant else f"; commands: {', '.join(COMMANDS)}"
            raise click.UsageError(f"no command '{name}'{suggestion}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in COMMANDS.items()])


_CODES: Final = ", ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=f"""Gives Jenkins builds their agents.

    \b
    agentbroker dev --builds 12 --exit             try it on this machine
    agentbroker serve --config broker.yaml         run it
    agentbroker explain linux-7f3k2                say why an agent does not come

    Exit codes: {_CODES}.
    """,
)
@click.version_option(package_name="jenkins-agentbroker", prog_name="agentbroker", message="%(prog)s %(version)s")
@click.option("--url", metavar="URL", help="The broker that is asked; else AGENTBROKER_URL.")
@click.option("--token-file", metavar="F", help="File with your token; else AGENTBROKER_TOKEN_FILE.")
@click.option("-o", "--output", type=click.Choice(["human", "json", "jsonl", "wide", "name"]), help="Default: human.")
def cli(url: str | None, token_file: str | None, output: str | None) -> None:
    """The options are read by the commands that ask the broker."""


def main() -> NoReturn:
    """Runs the command line; an error ends with its code of `EXIT_CODES`, and says what to do next."""
    try:
        code = cli.main(prog_name="agentbroker", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except ConfigError as error:
        click.echo(str(error), err=True)
        code = CONFIG_INVALID
    except CliError as error:
        click.echo(f"agentbroker: {printable(str(error))}", err=True)
        code = error.code
    except BrokerError as error:
        click.echo(f"agentbroker: {error}", err=True)
        code = FAILED
    except BrokenPipeError:
        code = FAILED
    sys.exit(code if isinstance(code, int) else 0)
