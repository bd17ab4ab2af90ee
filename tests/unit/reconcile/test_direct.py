"""Agents that connect to Jenkins itself: what Jenkins says is all that is known of their connection."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from broker.domain.ids import BootId
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.pool import Direct
from broker.domain.reason import Reason
from broker.domain.template import Retention
from broker.errors import BackendRejected
from broker.ports import LaunchSpec
from broker.reconcile.orphans import GRACE_S
from broker.testing.factories import BACKEND, CONTROLLER, make_definitions, make_pool, make_template
from tests.core import Core, open_core, real_secret

NAME = "linux-000001"
TWICE = make_template(retention=Retention(max_uses=2))


@pytest.fixture
async def direct(tmp_path: Path) -> AsyncIterator[Core]:
    """A broker whose one pool is direct."""
    definitions = make_definitions(pools=[make_pool(direct=Direct())], templates=[TWICE])
    async with open_core(tmp_path / "direct.db", definitions) as core:
        yield core


def listen(core: Core) -> list[LaunchSpec]:
    """What the backend is asked to launch from now on."""
    heard, inner = list[LaunchSpec](), core.backend.launch

    async def launch(spec: LaunchSpec):  # type: ignore[no-untyped-def]
        heard.append(spec)
        return await inner(spec)

    core.backend.launch = launch  # type: ignore[method-assign]
    return heard


async def online(core: Core) -> None:
    await core.sync()
    await core.ask(NAME)
    await core.settle()
    core.says(NAME)
    await core.sync()
    await core.advance(1)
    assert (await core.agent(NAME)).phase == Phase.ONLINE


async def test_a_direct_agent_is_given_jenkins_own_url_and_the_real_secret(direct: Core) -> None:
    launched = listen(direct)
    await direct.sync()
    await direct.ask(NAME)
    await direct.settle()
    (spec,) = launched
    assert (spec.url, spec.secret, spec.websocket) == ("http://127.0.0.1:8080/", real_secret(NAME), False)
    assert real_secret(NAME) not in repr(spec)


async def test_an_alternative_url_and_a_tunnel_are_passed_on(tmp_path: Path) -> None:
    how = Direct(url="https://other/", tunnel="nlb:50000")
    async with open_core(tmp_path / "b.db", make_definitions(pools=[make_pool(direct=how)])) as core:
        launched = listen(core)
        await core.sync()
        await core.ask(NAME)
        await core.settle()
        assert (launched[0].url, launched[0].tunnel, launched[0].identity) == ("https://other/", "nlb:50000", "")


async def test_an_agent_of_the_gateway_is_given_neither(core: Core) -> None:
    launched = listen(core)
    await core.sync()
    await core.ask(NAME)
    await core.settle()
    assert launched[0].secret != real_secret(NAME)
    assert launched[0].websocket
    assert "8080" not in launched[0].url


async def test_a_private_ca_goes_to_agents_of_the_gateway_alone(core: Core, direct: Core) -> None:
    for broker, expected in ((core, ("PEM",)), (direct, ())):
        broker.ctx.authorities = lambda: ("PEM",)
        launched = listen(broker)
        await broker.sync()
        await broker.ask(NAME)
        await broker.settle()
        assert launched[0].authorities == expected


async def test_agents_of_the_gateway_are_started_with_what_it_prefers(core: Core) -> None:
    core.ctx.agents_use_websocket = lambda: False
    launched = listen(core)
    await core.sync()
    await core.ask(NAME)
    await core.settle()
    assert not launched[0].websocket


async def test_it_is_online_when_jenkins_says_so_and_no_gateway_is_asked(direct: Core) -> None:
    direct.sessions.lose_link()
    await online(direct)
    assert (await direct.agent(NAME)).direct


async def test_it_has_one_attempt(direct: Core) -> None:
    await direct.sync()
    direct.backend.next_launch_raises(BackendRejected("Nope", "the cloud's own words"), times=3)
    await direct.ask(NAME)
    await direct.advance(20)
    failed = await direct.agent(NAME)
    assert (failed.phase, failed.outcome, failed.attempt) == (Phase.GONE, Outcome.FAILED, 1)
    assert (failed.why, failed.message) == (Reason.BACKEND_ERROR, "Nope: the cloud's own words")


async def test_one_that_does_not_come_ends_when_its_instance_is_gone_with_the_url_in_its_reason(direct: Core) -> None:
    await direct.sync()
    await direct.ask(NAME)
    await direct.settle()
    for _ in range(200):
        await direct.sync()
        await direct.advance(5, step_s=5)
    failed = await direct.agent(NAME)
    assert (failed.phase, failed.outcome, failed.attempt) == (Phase.GONE, Outcome.FAILED, 1)
    assert failed.why == Reason.CONNECT_TIMEOUT
    assert "can it reach http://127.0.0.1:8080/?" in failed.message
    assert direct.backend.ledger.instances == {}


async def test_it_reconnects_as_jenkins_says_and_keeps_its_build(direct: Core) -> None:
    await online(direct)
    direct.says(NAME, busy=True, uses=1)
    await direct.sync()
    await direct.settle()
    direct.says(NAME, online=False, uses=1)
    await direct.sync()
    await direct.advance(1)
    assert (await direct.agent(NAME)).phase == Phase.RECONNECTING
    assert (await direct.agent(NAME)).busy
    direct.says(NAME, busy=True, uses=1)
    await direct.sync()
    await direct.advance(1)
    assert (await direct.agent(NAME)).phase == Phase.ONLINE


async def test_a_controller_that_is_away_is_no_lost_connection(direct: Core) -> None:
    await online(direct)
    await direct.advance(600, step_s=10)
    assert (await direct.agent(NAME)).phase == Phase.ONLINE


async def test_a_controller_that_has_restarted_and_told_nothing_yet_has_lost_nobody(direct: Core) -> None:
    await online(direct)
    direct.boot = BootId("boot-2")
    for _ in range(8):
        direct.ctx.presence.heard(CONTROLLER, direct.boot)
        await direct.advance(5, step_s=5)
    assert (await direct.agent(NAME)).phase == Phase.ONLINE
    direct.says(NAME, online=False)
    await direct.sync()
    await direct.advance(1)
    assert (await direct.agent(NAME)).phase == Phase.RECONNECTING


async def test_it_stays_direct_when_a_reload_makes_its_pool_use_the_gateway(direct: Core) -> None:
    await online(direct)
    pools = {name: replace(pool, direct=None) for name, pool in direct.ctx.definitions.pools.items()}
    direct.ctx.definitions = replace(direct.ctx.definitions, pools=pools)
    for _ in range(20):
        await direct.sync()
        await direct.advance(5)
    assert (await direct.agent(NAME)).phase == Phase.ONLINE


async def test_its_instance_is_no_orphan_while_jenkins_calls_it_online(direct: Core) -> None:
    await online(direct)
    agent = await direct.agent(NAME)
    gone = replace(agent, phase=Phase.TERMINATING, goal=Goal.GONE)
    await direct.ctx.agents.change(agent, gone, "terminating", direct.clock.now())
    agent = await direct.agent(NAME)
    done = replace(agent, phase=Phase.GONE, outcome=Outcome.SUCCEEDED, gone_at=direct.clock.now())
    await direct.ctx.agents.change(agent, done, "gone", direct.clock.now())
    await direct.orphans.search(BACKEND)
    await direct.clock.advance(GRACE_S + 1)
    assert await direct.orphans.search(BACKEND) == 0
    direct.says(NAME, online=False)
    await direct.sync()
    await direct.orphans.search(BACKEND)
    await direct.clock.advance(GRACE_S + 1)
    assert await direct.orphans.search(BACKEND) == 1


async def test_it_ends_after_its_build_like_any_other(direct: Core) -> None:
    await online(direct)
    await direct.release(NAME)
    await direct.sync()
    await direct.advance(3)
    gone = await direct.agent(NAME)
    assert (gone.phase, gone.outcome) == (Phase.GONE, Outcome.SUCCEEDED)
    assert direct.backend.ledger.instances == {}
