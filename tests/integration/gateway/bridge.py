"""A gateway between simulated agents and a simulated controller, each over a transport of its own."""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from broker.clock import SystemClock
from broker.demo.sim.agents import SimAgent, State, Swarm
from broker.demo.sim.controller import SimController
from broker.demo.sim.plans import AgentPlan, Transport
from broker.domain.ids import AgentId, ControllerName
from broker.gateway.control import ControlServer
from broker.gateway.facts import Facts
from broker.gateway.identity import load_identity
from broker.gateway.link import Controllers
from broker.gateway.process import Gateway
from broker.gateway.settings import GatewaySettings
from broker.inbound.identity import Identity
from broker.ports import Admitted
from tests.integration.gateway.world import QUICK, FakeDoorkeeper, Nudges, until

IDENTITY = Identity.new()
OTHER = Identity.new()


@dataclass
class Bridge:
    """Agents get in at `gateway`, which reaches `controller`."""

    agents: Transport
    controller: SimController
    control: ControlServer
    doorkeeper: FakeDoorkeeper
    swarm: Swarm
    gateway: Gateway
    identity: bytes = b""
    minted: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://{self.gateway.address}/c/main/"

    @property
    def port(self) -> tuple[str, int]:
        host, port = self.gateway.tcp_address.rsplit(":", 1)
        return host, int(port)

    def plan(self, name: str, *, known: bool = True, **changes: object) -> AgentPlan:
        if name not in self.minted:
            real = self.controller.add(name) if known else "ab" * 32
            self.minted[name] = secrets.token_hex(32)
            whose = ControllerName("main")
            admitted = Admitted(agent_id=AgentId(f"id-{name}"), attempt=1, secret=real, controller=whose)
            self.doorkeeper.agents[name] = (self.minted[name], admitted)
        return replace(
            AgentPlan(name=name, secret=self.minted[name], transport=self.agents, url=self.url, patience_s=20),
            **changes,  # type: ignore[arg-type]
        )

    def told(self, **facts: object) -> None:
        """The control plane tells the gateway of the controller, which is reached over TCP."""
        tcp = {"main": base64.b64encode(self.controller.identity.spki).decode()}
        known = {"main": Facts(**facts)}  # type: ignore[arg-type]
        urls, paths = {"main": self.controller.url}, {"/c/main/": "main"}
        self.control.tell_controllers(Controllers(urls=urls, paths=paths, tcp=tcp, facts=known))

    async def knocks(self, name: str, **changes: object) -> SimAgent:
        """An agent that has been let in, refused or has failed, in the place of a former one of that name."""
        self.swarm.agents.pop(name, None)
        self.swarm.start([self.plan(name, **changes)])  # type: ignore[arg-type]
        agent = self.swarm.agents[name]
        await until(lambda: agent.state is not State.KNOCKING, 20)
        return agent


@asynccontextmanager
async def bridge(
    directory: Path,
    agents: Transport,
    controllers: Transport,
    controller: SimController | None = None,
    pin: bytes = b"",
    lasts_s: float = 60,
    **changes: object,
) -> AsyncIterator[Bridge]:
    controller = controller or SimController(identity=IDENTITY)
    doorkeeper = FakeDoorkeeper()
    control = ControlServer(directory / "control" / "gateway.sock", doorkeeper, Nudges(), SystemClock())
    async with asyncio.timeout(lasts_s), controller.running(), Swarm() as swarm, asyncio.TaskGroup() as group:
        await control.start()
        settings = GatewaySettings(
            control=directory / "control" / "gateway.sock",
            controllers={"main": controller.url},
            paths={"/c/main/": "main"},
            tcp_controllers={"main": base64.b64encode(pin).decode()} if controllers is Transport.TCP else {},
            tcp_port=0,
            identity=directory / "keys" / "gateway-identity.pem",
            limits=QUICK,
        )
        gateway = Gateway(replace(settings, **changes))  # type: ignore[arg-type]
        running = group.create_task(gateway.run(), name="gateway")
        try:
            await until(control.known)
            pinned = load_identity(directory / "keys" / "gateway-identity.pem").spki
            yield Bridge(agents, controller, control, doorkeeper, swarm, gateway, pinned)
        finally:
            swarm.close()
            running.cancel()
            await asyncio.wait({running}, timeout=10)
            await control.close()
