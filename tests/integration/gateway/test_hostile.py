"""Thousands of peers that mean no good: what they cost, what is left of them, and what honest agents notice."""

import asyncio
import base64
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from broker.demo.sim.agents import State
from broker.demo.sim.plans import Transport
from tests.integration.gateway.apart import Apart, apart
from tests.integration.gateway.hostile import Load, attack
from tests.integration.gateway.world import until

EACH = 1000
KIB = 1024
PSS_EACH = 64 * KIB
LEFT = 0.10
BACK_S = 60.0


async def came_in(there: Apart, name: str, transport: Transport) -> float:
    """How many seconds an honest agent took."""
    began = time.monotonic()
    there.swarm.start([there.plan(name, transport)])
    agent = there.swarm.agents[name]
    await until(lambda: agent.state is not State.KNOCKING, 30)
    assert agent.state is State.CONNECTED, agent.why
    return time.monotonic() - began


async def all_leave(there: Apart, descriptors: int) -> None:
    for name in list(there.controller.live):
        await there.controller.disconnect(name)
    await until(lambda: there.descriptors() <= descriptors)


def load(there: Apart, half_open: int, slow: int) -> Load:
    identity = base64.b64encode(there.identity).decode()
    where = {"url": there.url, "port": there.port, "identity": identity, "authority": there.authority}
    return Load(**where, half_open=half_open, slow=slow)  # type: ignore[arg-type]


async def honest_ones(there: Apart, while_: Callable[[], bool]) -> list[float]:
    """One after the other, by both transports; how long each took."""
    took = list[float]()
    while while_():
        transport = list(Transport)[len(took) % 2]
        took.append(await came_in(there, f"honest-{len(took)}", transport))
        await asyncio.sleep(0.05)
    return sorted(took)


async def test_two_thousand_hostile_handshakes_cost_little_and_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with apart(tmp_path) as there:
        idle = there.descriptors()
        for number in range(20):
            await came_in(there, f"first-{number}", list(Transport)[number % 2])
        await all_leave(there, idle)
        before, most = there.pss(), 0
        shared = before - there.pss("Pss_Anon")  # from here on it changes with whoever else runs Python on this machine
        peak = before
        async with attack(load(there, EACH, EACH)):
            started = time.monotonic()

            def look() -> bool:
                nonlocal peak, most
                peak = max(peak, shared + there.pss("Pss_Anon"))
                now = there.descriptors() - idle - 2 * len(there.controller.live)
                most = max(most, now)
                return now > most / 2 or time.monotonic() - started < 5

            took = await honest_ones(there, look)
            assert most >= 1.5 * EACH  # on a busy machine the first have had their time when the last come
            await all_leave(there, idle + most)
            await until(lambda: there.descriptors() <= idle, 40)
            gone = time.monotonic()
            with suppress(TimeoutError):
                await until(lambda: shared + there.pss("Pss_Anon") <= before * (1 + LEFT), BACK_S)
        back, after = time.monotonic() - gone, shared + there.pss("Pss_Anon")
        assert after <= before * (1 + LEFT), f"{after / before - 1:+.1%}"
        assert peak - before <= PSS_EACH * most
        with capsys.disabled():
            p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
            print(
                f"\n{2 * EACH} hostile handshakes, {most} at once: PSS {before // KIB} KiB, at most "
                f"{(peak - before) / KIB / most:.1f} KiB more each, {after / before - 1:+.1%} {back:.0f} s after "
                f"their end; {len(took)} honest agents came in meanwhile: p50 {p50:.3f} s, p99 {p99:.3f} s"
            )
        text = there.log.read_text()
        assert "Traceback" not in text
        assert "connection_failed" not in text


async def test_honest_agents_get_in_where_a_process_may_have_few_descriptors(tmp_path: Path) -> None:
    async with apart(tmp_path, descriptors=128) as there, attack(load(there, 300, 0)):
        await until(lambda: there.descriptors() >= 10 + 2 * 128 // 8, 20)
        plans = (there.plan(f"honest-{n}", list(Transport)[n % 2], comes_back=True, haste=20) for n in range(6))
        there.swarm.start(plans)  # one that comes among so many newcomers may have to come again
        await there.swarm.until(State.CONNECTED, 6, within_s=20)
