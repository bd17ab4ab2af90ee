"""The way onto a host of Alibaba Cloud goes wrong: tries are bounded, the machine is deleted, and the build is told.

Each test names its fault of the list that all backends are held to; instances and agents are counted at every step.
"""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from broker.domain.host import HostPhase
from broker.domain.host_order import HostPlace
from broker.domain.lifecycle import Outcome, Phase
from broker.domain.reason import Reason
from broker.errors import BackendError
from tests.integration.clouds.alibaba_broker import broker_on_alibaba
from tests.integration.clouds.alibaba_broker_parts import definitions, pool_of_hosts
from tests.integration.clouds.alibaba_played import closed, denied, hangs, other_key

Trouble = Callable[[HostPlace], BackendError]
SHORT = definitions([pool_of_hosts(rules={"prepare_timeout": timedelta(minutes=5)})])


@pytest.mark.parametrize(
    ("trouble", "reason", "limit_s"),
    [
        (other_key, Reason.SSH_HOST_KEY_MISMATCH, 60),
        (denied, Reason.SSH_AUTH_FAILED, 150),
        (hangs, Reason.SSH_UNREACHABLE, 400),
        (closed, Reason.SSH_UNREACHABLE, 400),
    ],
    ids=["host-key", "auth", "banner", "closed"],
)
async def test_f31_a_host_that_nobody_gets_onto_is_deleted_in_time_and_its_build_is_told_why(
    trouble: Trouble, reason: Reason, limit_s: float, tmp_path: Path
) -> None:
    async with broker_on_alibaba(tmp_path, SHORT) as broker:
        broker.world.hosts.trouble = trouble
        [name] = await broker.ask(1)
        await broker.until(broker.world.ours, 30)
        first = broker.world.ours()[0].id
        took = await broker.until(lambda: first not in {one.id for one in broker.world.ours()}, limit_s)
        assert took <= limit_s
        assert reason in await broker.log(name)
        await broker.until(lambda: len(broker.world.orders) == 2, 400)
        broker.world.hosts.trouble = lambda place: None
        await broker.end()
        assert broker.done == [name]


async def test_f31_hosts_that_never_let_anybody_in_are_made_few_times(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path, SHORT) as broker:
        broker.world.hosts.trouble = denied
        names = await broker.ask(20)
        await broker.run(900)
        assert len(broker.world.orders) <= 30, f"{len(broker.world.orders)} machines in a quarter of an hour"
        assert all(
            Reason.SSH_AUTH_FAILED in agent.message or agent.why is Reason.SSH_AUTH_FAILED
            for agent in await broker.agents(names)
        )
        broker.world.hosts.trouble = lambda place: None
        waiting = [agent.name for agent in await broker.agents(names) if agent.phase is not Phase.GONE]
        await broker.end()
        assert sorted(broker.done) == sorted(waiting)


async def test_f31_a_port_that_is_closed_for_three_minutes_is_waited_for(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path, SHORT) as broker:
        broker.world.hosts.trouble = closed
        names = await broker.ask(2)
        await broker.run(200)
        [row] = await broker.rows()
        assert "refused" in await broker.log(names[0]), "what it waits for is told"
        assert broker.world.hosts.tries[row.ref or ""] <= 60
        broker.world.hosts.trouble = lambda place: None
        took = await broker.until(lambda: len(broker.builds) == 2, 60)
        assert took <= 30
        assert len(broker.world.orders) == 1
        await broker.end()


async def test_f31_an_init_script_that_fails_is_told_with_its_last_words_and_its_machine_deleted(
    tmp_path: Path,
) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        broker.world.hosts.init_code = 1
        [name] = await broker.ask(1)
        await broker.until(lambda: broker.world.hosts.scripts_run == 1, 60)
        await broker.until(lambda: not broker.world.ours(), 60)
        told = await broker.log(name)
        assert "ended with code 1" in told
        assert "cannot install what is needed" in told
        broker.world.hosts.init_code = 0
        await broker.end()
        assert broker.done == [name]
        assert len(broker.world.orders) == 2


async def test_f31_an_init_script_that_always_fails_ends_its_build_after_few_machines(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        broker.world.hosts.init_code = 1
        [name] = await broker.ask(1)
        await broker.end(3600)
        agent = await broker.agent(name)
        assert (agent.phase, agent.outcome, agent.why) == (Phase.GONE, Outcome.FAILED, Reason.SETUP_FAILED)
        assert len(broker.world.orders) <= 5


async def test_f31_a_line_that_breaks_in_mid_bootstrap_is_taken_up_and_the_script_runs_once(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        broker.world.hosts.cuts = 2
        broker.world.hosts.init_s = 30
        names = await broker.ask(2)
        await broker.until(lambda: len(broker.builds) == 2, 120)
        assert broker.world.hosts.scripts_run == 1
        assert len(broker.world.orders) == 1
        await broker.end()
        assert sorted(broker.done) == sorted(names)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [(other_key, Reason.SSH_HOST_KEY_MISMATCH), (denied, Reason.SSH_AUTH_FAILED)],
    ids=["host-key", "auth"],
)
async def test_f31_a_ready_host_that_lets_nobody_in_any_more_is_replaced_and_ends_no_build(
    trouble: Trouble, reason: Reason, tmp_path: Path
) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        broker.world.build_s = 700
        [first] = await broker.ask(1)
        await broker.until(lambda: len(broker.builds) == 1, 60)
        [bad] = broker.world.ours()
        broker.world.hosts.trouble = lambda place: trouble(place) if place.ref == bad.id else None
        broker.world.build_s = 20
        names = await broker.ask(4)
        await broker.until(lambda: len(broker.done) == 4, 900)
        assert sorted(broker.done) == sorted(names)
        assert first in broker.builds, "a build that runs goes on"
        [row] = [host for host in await broker.rows() if host.ref == bad.id]
        assert (row.phase, row.why) == (HostPhase.DRAINING, reason)
        broker.world.build_s = 700
        await broker.end()
        assert sorted(broker.done) == sorted([first, *names])
