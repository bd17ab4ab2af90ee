"""A gateway in a process of its own, between simulated agents and a simulated controller."""

import asyncio
import base64
import re
import resource
import secrets
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from broker.clock import SystemClock
from broker.demo.authority import Authority
from broker.demo.ports import free_port
from broker.demo.sim.agents import Swarm
from broker.demo.sim.controller import SimController
from broker.demo.sim.plans import AgentPlan, Transport
from broker.domain.ids import AgentId, ControllerName
from broker.gateway.control import ControlServer
from broker.gateway.identity import load_identity
from broker.gateway.settings import GatewaySettings
from broker.gateway.spawn import LISTENS
from broker.ports import Admitted
from tests.integration.gateway.bridge import IDENTITY
from tests.integration.gateway.world import FakeDoorkeeper, Nudges, until


@dataclass
class Apart:
    """Agents get in over TLS at a gateway that has its own memory and descriptors."""

    controller: SimController
    control: ControlServer
    doorkeeper: FakeDoorkeeper
    swarm: Swarm
    pid: int
    """Of the process that has the connections."""
    url: str
    port: tuple[str, int]
    identity: bytes
    authority: str
    log: Path
    minted: dict[str, str] = field(default_factory=dict)

    @cached_property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.authority)

    def plan(self, name: str, transport: Transport, **changes: object) -> AgentPlan:
        """An agent that may come in; over TCP it goes straight to the port."""
        if name not in self.minted:
            self.minted[name] = secrets.token_hex(32)
            real = self.controller.add(name)
            whose = ControllerName("main")
            admitted = Admitted(agent_id=AgentId(f"id-{name}"), attempt=1, secret=real, controller=whose)
            self.doorkeeper.agents[name] = (self.minted[name], admitted)
        plan = AgentPlan(name=name, secret=self.minted[name], transport=transport)
        if transport is Transport.TCP:
            plan = replace(plan, address=self.port, identity=self.identity)
        else:
            plan = replace(plan, url=self.url, trust=self.trust)
        return replace(plan, **changes)  # type: ignore[arg-type]

    def pss(self, kind: str = "Pss") -> int:
        """Bytes of memory that the gateway has, its share of what it shares; kind Pss_Anon: but for files."""
        found = re.search(rf"^{kind}: +(\d+) kB$", Path(f"/proc/{self.pid}/smaps_rollup").read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024

    def descriptors(self) -> int:
        """How many the gateway has open."""
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())


@asynccontextmanager
async def apart(directory: Path, descriptors: int = 0, **changes: object) -> AsyncIterator[Apart]:
    authority, controller, doorkeeper = Authority(), SimController(identity=IDENTITY), FakeDoorkeeper()
    pair = authority.issue(directory / "gateway", "gateway")
    identity = directory / "keys" / "gateway-identity.pem"
    pinned = load_identity(identity).spki
    socket, log, file = directory / "control" / "gateway.sock", directory / "gateway.log", directory / "settings.json"
    control = ControlServer(socket, doorkeeper, Nudges(), SystemClock())
    async with controller.running(), Swarm() as swarm:
        settings = GatewaySettings(
            control=socket,
            controllers={"main": controller.url},
            paths={"/c/main/": "main"},
            listen_port=free_port(),
            tls_cert=pair.certificate,
            tls_key=pair.key,
            tcp_controllers={"main": base64.b64encode(controller.identity.spki).decode()},
            tcp_port=free_port(),
            identity=identity,
        )
        settings = replace(settings, **changes)  # type: ignore[arg-type]
        settings.save(file)
        await control.start()
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "broker", "gateway", "--settings", file, stdout=output, stderr=output
            )
        if descriptors:  # before it has come to start anything
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (descriptors, descriptors))
        try:
            await until(lambda: LISTENS in log.read_text(), 30)
            await until(control.known, 30)
            assert settings.tcp_port is not None
            pid = int(re.findall(r"gateway_started .*pid=(\d+)", log.read_text())[0])
            yield Apart(
                controller=controller,
                control=control,
                doorkeeper=doorkeeper,
                swarm=swarm,
                pid=pid,
                authority=authority.pem.decode(),
                url=f"https://127.0.0.1:{settings.listen_port}/c/main/",
                port=("127.0.0.1", settings.tcp_port),
                identity=pinned,
                log=log,
            )
        finally:
            swarm.close()
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
            await asyncio.wait_for(process.wait(), 20)
            await control.close()
