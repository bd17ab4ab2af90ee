"""Many agents with seeded streams through a gateway of its own processes, as `agentbroker gateway` starts it."""

import asyncio
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from broker.clock import SystemClock
from broker.demo.sim.agents import State, Swarm
from broker.demo.sim.controller import SimController
from broker.demo.sim.plans import AgentPlan, Transport
from broker.domain.ids import AgentId, ControllerName
from broker.gateway.control import ControlServer
from broker.gateway.linkserver import LinkedGateway
from broker.gateway.settings import GatewaySettings
from broker.gateway.sockets import process_started
from broker.gateway.spawn import KEPT, LISTENS
from broker.inbound.identity import Identity
from broker.ports import Admitted
from tests.integration.gateway.world import FakeDoorkeeper, Nudges, until

SEED = "crowd"
STARTS_S = 30.0


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass
class Crowd:
    """A control plane in this process, a controller, agents, and `agentbroker gateway` between them."""

    directory: Path
    controller: SimController
    control: ControlServer
    swarm: Swarm
    settings: GatewaySettings
    doorkeeper: FakeDoorkeeper = field(default_factory=FakeDoorkeeper)
    started: list[asyncio.subprocess.Process] = field(default_factory=list)
    bytes_per_s: float = 20_000.0

    @property
    def file(self) -> Path:
        return self.directory / "settings.json"

    @property
    def log(self) -> str:
        return (self.directory / "gateway.log").read_text()

    def change(self, **changes: object) -> None:
        """What the next generation is to be."""
        self.settings = replace(self.settings, **changes)  # type: ignore[arg-type]
        self.settings.save(self.file)

    async def start(self, *options: str, within: Sequence[str] = ()) -> asyncio.subprocess.Process:
        """One more `agentbroker gateway`, which listens and is linked; `within` is the command that runs it."""
        said, linked = self.said(LISTENS), self.said("gateway_linked")
        with (self.directory / "gateway.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(*within, sys.executable, "-m", "broker", "gateway", "--settings", str(self.file), *options),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(process)
        await until(lambda: self.said(LISTENS) > said or process.returncode is not None, STARTS_S)
        assert process.returncode is None, self.log
        await until(lambda: self.said("gateway_linked") >= linked + self.settings.processes, STARTS_S)
        return process

    async def renew(self, process: asyncio.subprocess.Process, says: str = LISTENS) -> None:
        """Has it replace its workers, and waits for what it says of that."""
        said = self.said(says)
        process.send_signal(signal.SIGHUP)
        await until(lambda: self.said(says) > said, 2 * STARTS_S)

    def said(self, words: str) -> int:
        return self.log.count(words)

    def gateways(self, *, accepting: bool) -> list[LinkedGateway]:
        return [one for one in self.control.linked_gateways() if one.accepting is accepting]

    def relayed(self) -> dict[str, int]:
        """How many sessions each gateway process has, by its id."""
        held = self.control._register._held.values()
        return {one.id: sum(h.gateway == one.id for h in held) for one in self.control.linked_gateways()}

    async def enter(self, names: Iterable[str], *, streams: bool = True, **changes: object) -> None:
        """Agents come in; half of them over TCP. Returns when all are connected."""
        plans = [
            replace(self._plan(name, number, streams=streams), **changes)  # type: ignore[arg-type]
            for number, name in enumerate(names)
        ]
        self.swarm.start(plans)
        for plan in plans:
            agent = self.swarm.agents[plan.name]
            await until(lambda: agent.state is not State.KNOCKING, 60)  # noqa: B023 - awaited here
            assert agent.state is State.CONNECTED, (plan.name, agent.why, self.log)

    def mint(self, name: str) -> str:
        """The secret of an agent that may come in."""
        return self._plan(name, 0, streams=False).secret

    def _plan(self, name: str, number: int, *, streams: bool) -> AgentPlan:
        minted, real = secrets.token_hex(32), self.controller.add(name)
        whose = ControllerName("main")
        admitted = Admitted(agent_id=AgentId(f"id-{name}"), attempt=1, secret=real, controller=whose)
        self.doorkeeper.agents[name] = (minted, admitted)
        return AgentPlan(
            name=name,
            secret=minted,
            transport=(Transport.WEBSOCKET, Transport.TCP)[number % 2],
            url=f"http://127.0.0.1:{self.settings.listen_port}/c/main/",
            stream_seed=SEED if streams else "",
            bytes_per_s=self.bytes_per_s,
        )

    def received(self) -> int:
        """Bytes of streams that have arrived, at both ends."""
        up = sum(traffic.received.count for traffic in self.controller.traffic.values())
        return up + sum(agent.traffic.received.count for agent in self.swarm.agents.values())

    async def settle(self, names: Iterable[str]) -> None:
        """No more is sent, and all that was has arrived, unchanged: AssertionError otherwise."""
        names, agents = list(names), self.swarm.agents

        def used() -> bool:
            return all(agents[name].traffic.sent.count and agents[name].traffic.received.count for name in names)

        with suppress(TimeoutError):  # who has just come in
            await until(used, 20)
        self.swarm.quiet()
        self.controller.quiet()

        def equal() -> bool:
            near, far = self.swarm.hashes(), self.controller.hashes()
            return all(near[name] == far[name] for name in names)

        with suppress(TimeoutError):
            await until(equal, 20)
        assert [name for name in names if agents[name].state is not State.CONNECTED] == [], "cut"
        assert [name for name in names if agents[name].sessions != 1] == [], "came again"
        assert equal(), "bytes are missing or changed"
        assert used()


@asynccontextmanager
async def crowd(
    directory: Path, *, bytes_per_s: float = 20_000.0, seed: str = SEED, **changes: object
) -> AsyncIterator[Crowd]:
    """All but the gateway runs."""
    controller = SimController(identity=Identity.new(), stream_seed=seed, bytes_per_s=bytes_per_s)
    doorkeeper = FakeDoorkeeper()
    socket_path = directory / "control.sock"
    control = ControlServer(socket_path, doorkeeper, Nudges(), SystemClock())
    async with asyncio.timeout(240), controller.running(), Swarm() as swarm:
        await control.start()
        settings = GatewaySettings(
            control=socket_path,
            controllers={"main": controller.url},
            paths={"/c/main/": "main"},
            listen_port=free_port(),
            tcp_port=free_port(),
            identity=directory / "keys" / "gateway-identity.pem",
        )
        made = Crowd(directory, controller, control, swarm, settings, doorkeeper, bytes_per_s=bytes_per_s)
        made.change(**changes)
        (directory / "gateway.log").touch()
        try:
            yield made
        finally:
            swarm.close()
            for process in made.started:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
            await control.close()


async def ended(pid: int, seconds: float = 20) -> None:
    await until(lambda: process_started(pid) is None, seconds)


__all__ = ["KEPT", "LISTENS", "Crowd", "crowd", "ended", "free_port"]
