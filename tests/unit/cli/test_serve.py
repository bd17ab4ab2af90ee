"""What `agentbroker serve` does with its signals."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from broker.app import Broker
from broker.cli.serve import _reloading
from broker.errors import StoreUnavailable


class Reloader:
    """Fails in one way after the other, then says that it has reloaded."""

    def __init__(self, *failures: Exception) -> None:
        self.applies: list[Any] = []
        self.done = asyncio.Event()
        self._failures = list(failures)

    async def reload(self) -> Any:
        if self._failures:
            raise self._failures.pop(0)
        self.done.set()
        return SimpleNamespace(lines=lambda: ["nothing has changed"])


async def test_a_reload_that_fails_in_whatever_way_leaves_the_broker_running(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reloader, asked = Reloader(StoreUnavailable("no disk"), RuntimeError("a bug"), OSError(5, "no")), asyncio.Event()
    async with asyncio.timeout(5), _reloading(cast(Broker, SimpleNamespace(reloader=reloader)), asked):
        while not reloader.done.is_set():
            asked.set()
            await asyncio.sleep(0.01)
    said = capsys.readouterr().err
    assert said.count("the config was not reloaded") == 3
    assert "nothing has changed" in said
