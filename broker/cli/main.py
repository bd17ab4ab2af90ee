"""The command `agentbroker`: its subcommands are imported when they are called, so that it starts fast."""

import difflib
import importlib
import sys
from collections.abc import Mapping
from typing import Final, NoReturn

import click

from broker.errors import BrokerError, ConfigError

EXIT_CONFIG_INVALID: Final = 3
EXIT_INTERRUPTED: Final = 130

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "serve": ("broker.cli.serve:serve", "Run the broker, and a gateway that it starts."),
    "gateway": ("broker.cli.gateway:gateway", "Run the gateway alone."),
    "dev": ("broker.cli.dev:dev", "All in one, for a laptop."),
    "init": ("broker.cli.init:init", "Write the files that Jenkins needs."),
    "config": ("broker.cli.config:config", "Check and show the config."),
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


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="jenkins-agentbroker", prog_name="agentbroker", message="%(prog)s %(version)s")
def cli() -> None:
    """Gives Jenkins builds their agents.

    \b
    agentbroker dev --builds 12 --exit             try it on this machine
    agentbroker config check broker.yaml           say all that is wrong with a config
    agentbroker serve --config broker.yaml         run it

    \b
    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 config invalid, 130 interrupted.
    """


def main() -> NoReturn:
    """Runs the command line; a `ConfigError` ends with 3, another of the broker's own errors with 1."""
    try:
        code = cli.main(prog_name="agentbroker", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = EXIT_INTERRUPTED
    except ConfigError as error:
        click.echo(str(error), err=True)
        code = EXIT_CONFIG_INVALID
    except BrokerError as error:
        click.echo(f"agentbroker: {error}", err=True)
        code = 1
    except BrokenPipeError:
        code = 1
    sys.exit(code if isinstance(code, int) else 0)
