"""How many hosts there are, whatever ends, is reloaded or runs late; and what they are made for."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from broker.domain.asked import Asked
from broker.domain.host import HostPhase
from broker.domain.host_order import HostPlace
from broker.domain.ids import HostId
from broker.domain.reason import Reason
from broker.errors import BackendRejected, Throttled
from broker.testing.factories import CONTROLLER, POOL
from tests.core import real_secret
from tests.host_core import HostCore, hosts_core
from tests.unit.reconcile.hosts.test_agents import NAMES, ask, online

HOUR = timedelta(hours=1)


async def replaced(world: HostCore, limit_s: float = 300.0) -> str:
    """The id of a host that is ready after the first one has ended."""
    [machine] = world.cloud.machines()
    world.cloud.vanish_host(machine.host or "")
    await world.advance(60)
    assert (await world.host(HostId(machine.host or ""))).phase is HostPhase.GONE
    await world.core.ask(NAMES[-1])
    await world.until(HostPhase.READY, 1, limit_s)
    [host] = await world.ctx.hosts.living()
    assert host.id != machine.host
    return host.id


async def test_a_host_that_is_dead_takes_no_place_of_the_limit(tmp_path: Path) -> None:
    async with hosts_core(tmp_path, most=1, idle_timeout=HOUR) as world:
        await world.core.sync()
        await world.ask()
        await world.until(HostPhase.READY)
        assert await replaced(world)
        assert world.most_machines == 1


async def test_a_host_that_is_not_gone_yet_takes_its_place_of_the_limit(tmp_path: Path) -> None:
    async with hosts_core(tmp_path, most=1, idle_timeout=timedelta(minutes=1)) as world:
        world.cloud.deletes_stay = True
        await world.ask()
        await world.until(HostPhase.DELETING)
        await ask(world, 1)
        await world.advance(60)
        assert await world.phases() == [HostPhase.DELETING], "what the cloud still bills is counted"
        world.cloud.let_go_hosts()
        await world.until(HostPhase.READY)
        assert world.most_machines == 1


async def test_a_config_that_is_read_again_and_again_makes_no_more_hosts(tmp_path: Path) -> None:
    async with hosts_core(tmp_path, fewest=2, most=5, idle_timeout=HOUR) as world:
        for n in range(8):
            world.ctx.definitions = replace(world.ctx.definitions, revision=f"r-{n}")
            world.ctx.nudge.hosts()
            await world.advance(2)
        await world.until(HostPhase.READY, 2)
        assert len(world.cloud.hosts.machines_of) == 2


async def test_fewest_hosts_that_are_raised_are_made_and_lowered_idle_away(tmp_path: Path) -> None:
    async with hosts_core(tmp_path, fewest=1, idle_timeout=timedelta(minutes=1)) as world:

        def keep(fewest: int) -> None:
            pool = world.ctx.definitions.pools[POOL]
            assert pool.hosts is not None
            pools = {POOL: replace(pool, hosts=replace(pool.hosts, fewest=fewest))}
            world.ctx.definitions = replace(world.ctx.definitions, pools=pools, revision=f"keeps-{fewest}")
            world.ctx.nudge.hosts()

        await world.until(HostPhase.READY, 1, 120)
        keep(3)
        await world.until(HostPhase.READY, 3, 120)
        keep(0)
        await world.empty(300)


async def test_hosts_are_made_while_others_take_long(tmp_path: Path) -> None:
    async with hosts_core(tmp_path, idle_timeout=HOUR) as world:
        [slow] = await world.ask()

        def is_busy(place: HostPlace) -> None:
            if place.id == slow.id:
                raise Throttled("Busy", "not yet")

        world.cloud.check_prepare = is_busy
        await world.until(HostPhase.PREPARING)
        [quick] = await world.ask()
        await world.until(HostPhase.READY, 1, 60)
        assert (await world.host(quick.id)).phase is HostPhase.READY
        assert (await world.host(slow.id)).phase is HostPhase.PREPARING


async def test_a_host_whose_init_script_fails_is_deleted_and_nothing_is_left(tmp_path: Path) -> None:
    async with hosts_core(tmp_path, idle_timeout=HOUR) as world:
        ended: list[str] = []

        def fails(place: object) -> None:
            ended.append(str(place))
            raise BackendRejected("Exit", "init script: exit code 1", Reason.SETUP_FAILED)

        world.cloud.check_prepare = fails
        [asked] = await world.ask()
        await world.empty(120)
        gone = await world.host(asked.id)
        assert (gone.phase, gone.why) == (HostPhase.GONE, Reason.SETUP_FAILED)
        assert len(ended) == 1


async def test_a_host_for_one_agent_is_ordered_for_its_job_and_build_and_others_are_not(tmp_path: Path) -> None:
    for slots, words in ((1, "https://ci.example.com/job/a/7/"), (2, "")):
        async with hosts_core(tmp_path / str(slots), agents_per_host=slots, max_uses=slots) as world:
            await world.core.sync()
            url = "https://ci.example.com/job/a/7/"
            asked = Asked(name=NAMES[0], policy="linux", secret=real_secret(NAMES[0]), job="a", build_url=url)
            await world.core.intake.accept(CONTROLLER, world.core.boot, [asked])
            await online(world, NAMES[:1])
            [order] = world.cloud.hosts.orders
            assert (order.build_url, order.job) == (words, "a" if words else "")
            assert (order.controller, order.policy) == ("main", "linux")
