"""The options of every command that asks the broker; each may stand before the command or behind it."""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import click

from broker.cli.client import Client

DEFAULT_URL: Final = "http://localhost:7070"
OUTPUTS: Final = ("human", "json", "jsonl", "wide", "name")


@dataclass(frozen=True, slots=True)
class Session:
    """What a command works with: the broker, and the form of its answers."""

    client: Client
    output: str


def asks_broker(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options, and as its first argument a `Session`."""

    @click.option("--url", metavar="URL", help=f"The broker; else AGENTBROKER_URL, else {DEFAULT_URL}.")
    @click.option("--token-file", metavar="F", help="File with your token; else AGENTBROKER_TOKEN_FILE.")
    @click.option("-o", "--output", type=click.Choice(OUTPUTS), help="Default: human.")
    @click.pass_context
    @functools.wraps(command)
    def with_session(
        ctx: click.Context, /, url: str | None, token_file: str | None, output: str | None, **more: Any
    ) -> None:
        root = ctx.find_root().params
        url = url or root.get("url") or os.environ.get("AGENTBROKER_URL") or DEFAULT_URL
        token_file = token_file or root.get("token_file") or os.environ.get("AGENTBROKER_TOKEN_FILE")
        command(Session(Client(url, token_file), output or root.get("output") or "human"), **more)

    return with_session
