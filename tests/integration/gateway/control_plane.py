"""A control plane as a process of its own, to be killed: `python -m … SOCKET STATE_DIR CONFIG NAME MINTED REAL`."""

import asyncio
import sys
from pathlib import Path

from broker.clock import SystemClock
from broker.domain.ids import AgentId
from broker.gateway.control import ControlServer
from broker.gateway.spawn import GatewayProcess
from broker.ports import Admitted
from tests.integration.gateway.world import FakeDoorkeeper, Nudges


async def main(socket: str, state_dir: str, config: str, name: str, minted: str, real: str) -> None:
    doorkeeper = FakeDoorkeeper()
    doorkeeper.agents[name] = (minted, Admitted(agent_id=AgentId(f"id-{name}"), attempt=1, secret=real))
    control = ControlServer(Path(socket), doorkeeper, Nudges(), SystemClock())
    await control.start()
    await GatewayProcess(Path(state_dir), ["gateway", "--config", config], SystemClock()).start_or_adopt()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
