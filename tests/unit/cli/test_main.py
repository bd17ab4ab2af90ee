"""The root of the command line."""

import subprocess
import sys

import pytest

from broker.cli import main as root


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "broker", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_help_names_every_command_and_the_exit_codes() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert all(f"\n  {name} " in done.stdout for name in root.COMMANDS)
    assert "3 config invalid" in done.stdout


def test_a_mistyped_command_is_wrong_usage_with_a_suggestion() -> None:
    done = run("srve")
    assert done.returncode == 2
    assert "no command 'srve'; did you mean 'serve'?" in done.stderr
    assert done.stdout == ""


def test_a_mistyped_option_is_wrong_usage() -> None:
    assert run("config", "check", "--strikt").returncode == 2


def test_the_version_is_printed() -> None:
    assert run("version").stdout.startswith("agentbroker ")
    assert run("--version").stdout == run("version").stdout


def test_the_help_loads_no_heavy_module() -> None:
    script = (
        "import sys\n"
        "from broker.cli.main import cli\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        "heavy = {'pydantic', 'yaml', 'grpc', 'sqlalchemy', 'aiohttp', 'asyncio', 'structlog'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("raised", "code"), [("ConfigError('bad')", 3), ("BrokerError('bad')", 1), ("KeyboardInterrupt()", 130)]
)
def test_errors_of_the_broker_end_without_a_stack_trace(raised: str, code: int) -> None:
    script = (
        "import click\n"
        "from broker.cli import main, version\n"
        "from broker.errors import BrokerError, ConfigError\n"
        "@click.command()\n"
        f"def version_(): raise {raised}\n"
        "version.version = version_\n"
        "import sys; sys.argv = ['agentbroker', 'version']\n"
        "main.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
