"""Peers that mean no good, in a process of their own: `python -m tests.integration.gateway.hostile` with a `Load`.

They come all at once, as standard input says; they are there until it ends.
"""

import asyncio
import base64
import json
import resource
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

from broker.demo.sim.agents import Swarm
from broker.demo.sim.misbehaviour import Behaviour, Kind, Step
from broker.demo.sim.plans import AgentPlan, Transport

SECRET = "0f" * 32
PAUSE_S = 0.5
"""Between the bytes of the slow: twenty until the gateway has waited long enough."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """So many of each kind, over both transports by turns."""

    url: str
    port: tuple[str, int]
    identity: str
    authority: str
    half_open: int
    slow: int

    def plans(self) -> Iterator[AgentPlan]:
        trust = ssl.create_default_context(cadata=self.authority)
        for kind, count in ((Kind.HALF_OPEN, self.half_open), (Kind.SLOW, self.slow)):
            for number in range(count):
                transport = list(Transport)[number % 2]
                steps = _STEPS[kind, transport]
                yield AgentPlan(
                    name=f"{kind}-{number}",
                    secret=SECRET,
                    transport=transport,
                    url=self.url,
                    trust=trust,
                    address=(self.port[0], self.port[1]) if transport is Transport.TCP else None,
                    identity=base64.b64decode(self.identity),
                    misbehaviour=Behaviour(kind=kind, step=steps[number // 2 % len(steps)], pause_s=PAUSE_S),
                )


_STEPS = {
    (Kind.HALF_OPEN, Transport.TCP): (Step.CONNECTED, Step.CUT, Step.NAMED, Step.SECURED),
    (Kind.HALF_OPEN, Transport.WEBSOCKET): (Step.CONNECTED, Step.CUT),
    (Kind.SLOW, Transport.TCP): (Step.CONNECTED, Step.SECURED),
    (Kind.SLOW, Transport.WEBSOCKET): (Step.CONNECTED,),
}


@asynccontextmanager
async def attack(load: Load) -> AsyncIterator[None]:
    """They come, and are gone at the end."""
    command = [sys.executable, "-m", "tests.integration.gateway.hostile"]
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(asdict(load)).encode() + b"\n")
        yield
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 20)


async def _main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    load = Load(**json.loads(sys.stdin.readline()))
    async with Swarm() as swarm:
        swarm.start(load.plans())
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main())
