"""The real secret of an agent reaches its controller, and nothing else: no file, process, page, log or agent has it."""

import base64
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from broker.demo.sim import controller, knocking
from broker.demo.sim.agents import State
from broker.demo.sim.controller import SimController
from broker.demo.sim.plans import Transport
from broker.demo.sim.wire import Wire
from broker.inbound.secret import node_secret
from tests.integration.gateway.crowd import free_port
from tests.integration.gateway.plane import KEY, LABEL, Planes, planes
from tests.integration.gateway.world import until

AGENTS = 4
PAGES = ("metrics", "healthz", "readyz", "api/v1/agents", "api/v1/status", "")


class AgentsWire(Wire):
    """Keeps what an agent reads, as it is once TLS is off."""

    __slots__ = ()
    heard = bytearray()

    async def read(self, most: int = 65536) -> bytes:
        data = await super().read(most)
        type(self).heard += data
        return data


class ControllersWire(AgentsWire):
    """The same, of the controller's side."""

    __slots__ = ()
    heard = bytearray()


@pytest.fixture(autouse=True)
def taps(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, module in ((AgentsWire, knocking), (ControllersWire, controller)):
        monkeypatch.setattr(kind, "heard", bytearray())
        monkeypatch.setattr(module, "Wire", kind)


def processes() -> Iterator[tuple[str, bytes]]:
    """Arguments and environment of every process that this user may look at."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            for what in ("cmdline", "environ"):
                with suppress(OSError):
                    yield f"{process}/{what}", (process / what).read_bytes()


def files(directory: Path) -> Iterator[tuple[str, bytes]]:
    """All that broker and gateway have written: logs, the database's pages with those of its WAL, settings, keys."""
    for file in directory.rglob("*"):
        with suppress(OSError):
            if file.is_file():
                yield str(file), file.read_bytes()


def pages(directory: Path) -> Iterator[tuple[str, bytes]]:
    config = yaml.safe_load((directory / "broker.yaml").read_text())
    for listens in (config["server"]["http"]["listen"], config["gateway"]["http"]["listen"]):
        for page in PAGES:
            with suppress(OSError), urllib.request.urlopen(f"http://{listens}/{page}", timeout=5) as reply:
                yield f"{listens}/{page}", reply.read()


def everything(world: Planes) -> dict[str, bytes]:
    """Every place that could be looked into, by name."""
    found = dict(processes()) | dict(files(world.directory)) | dict(pages(world.directory))
    return found | {"what agents have got": bytes(AgentsWire.heard)}


def places(world: Planes, word: str) -> list[str]:
    """Where it is, in letters or in bytes."""
    forms = [word.encode(), bytes.fromhex(word), base64.b64encode(word.encode()).rstrip(b"=")[:-1]]
    return [name for name, data in everything(world).items() if any(form in data for form in forms)]


@pytest.mark.parametrize("controllers", list(Transport))
async def test_the_real_secret_is_nowhere_but_at_the_controller(controllers: Transport, tmp_path: Path) -> None:
    def loud(content: dict[str, Any], sim: SimController) -> None:
        content["server"]["log"] = {"level": "debug", "format": "json"}
        content["gateway"]["http"] = {"listen": f"127.0.0.1:{free_port()}"}
        if controllers is Transport.TCP:
            identity = base64.b64encode(sim.identity.spki).decode()
            content["controllers"]["main"] |= {"agents": "tcp", "instance_identity": identity}

    async with planes(tmp_path, bytes_per_s=20_000, change=loud) as world:
        world.model.enqueue(LABEL, 3600.0, AGENTS)
        await until(lambda: len(world.launched()) == AGENTS, 60)
        *good, refused, unknown = minted = world.launched()
        await until(lambda: set(minted) <= set(world.sim.nodes), 20)
        world.sim.nodes[refused] = "e" * 64  # the controller says no to the right secret
        del world.model.nodes[unknown], world.sim.nodes[unknown]
        world.knock(AGENTS)
        await world.swarm.until(State.CONNECTED, len(good), within_s=30)
        await world.swarm.until(State.REFUSED, 1, within_s=40)
        await until(lambda: world.received() > 200_000, 30)
        for name in good:
            real, own = node_secret(KEY, name), minted[name]
            assert real.encode() in ControllersWire.heard
            assert places(world, real) == []
            assert places(world, own) != []  # a file of the agent has it: this is how it would be found
            assert own.encode() not in ControllersWire.heard
        real = node_secret(KEY, refused)
        assert real.encode() in ControllersWire.heard
        assert places(world, real) == []
        assert any(good[0].encode() in data for name, data in files(tmp_path) if ".db" in name or "sqlite" in name)
        assert len(AgentsWire.heard) > 100_000
        seen = everything(world)
        assert len([name for name in seen if name.endswith("/metrics")]) == 2
        assert b"session_opened" in seen[str(tmp_path / "gateway.log")]
