"""The commands that README and docs show are there, with these options, and print what stands below them."""

import re
import shlex
from pathlib import Path
from typing import Final

import click
import pytest

from broker.cli.main import cli
from tests.unit.cli.asking import run
from tests.unit.views.test_plan import PAGE
from tests.unit.web.api_world import running_api

ROOT: Final = Path(__file__).parents[3]
PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
HOW_TO: Final = ROOT / "docs" / "how-to"


def consoles(page: Path) -> list[list[str]]:
    """The console blocks of a page, line by line."""
    found = re.findall(r"^( *)```console\n(.*?)^ *```", page.read_text(), re.DOTALL | re.MULTILINE)
    return [[line.removeprefix(indent) for line in text.splitlines()] for indent, text in found]


def commands(page: Path) -> list[str]:
    lines = [line for block in consoles(page) for line in block]
    return [line.removeprefix("$ ") for line in lines if re.match(r"\$ agentbroker ", line)]


SHOWN: Final = sorted({command for page in PAGES for command in commands(page)})


def parse(command: str) -> None:
    """Raises `click.UsageError` for a command that is not there, or not so."""
    words = shlex.split(command.partition(" > ")[0].partition(" | ")[0], comments=True)[1:]
    group: click.Command = cli
    parent: click.Context | None = None
    name: str | None = "agentbroker"
    while isinstance(group, click.Group):
        parent = group.make_context(name, words, parent=parent)
        words = [*parent._protected_args, *parent.args]
        name, found, words = group.resolve_command(parent, words)
        assert found is not None
        group = found
    group.make_context(name, words, parent=parent)


@pytest.mark.parametrize("command", SHOWN, ids=str)
def test_a_command_that_the_docs_show_is_there_with_its_options(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("broker.yaml", "broker-new.yaml", "FILE"):
        (tmp_path / name).touch()
    parse(command)


def test_many_are_shown_and_one_that_is_not_there_is_noticed() -> None:
    assert len(SHOWN) > 20
    with pytest.raises(click.UsageError):
        parse("agentbroker plan --lable linux")


async def test_the_plan_of_the_how_to_is_what_the_command_prints(tmp_path: Path) -> None:
    shown = next(
        block for block in consoles(HOW_TO / "plan-and-explain.md") if block[0].startswith("$ agentbroker plan")
    )
    async with running_api(tmp_path, PAGE) as api:
        printed = await run("plan", "--policy", "linux", "-n", "8", port=api.port)
    assert (printed.code, printed.out.splitlines()) == (0, shown[1:])
