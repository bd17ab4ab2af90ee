"""A config that is meant to hurt, in the middle of a burst: the broker goes on as if nobody had touched the file."""

from pathlib import Path

import pytest
import yaml

from broker.domain.agent import Agent
from broker.domain.lifecycle import Phase
from broker.errors import ConfigError
from tests.poisons import poisons
from tests.unit.reload.test_reload import BASE, World, open_world

POISONS = poisons(yaml.safe_load(BASE), pool="here", policy="linux")


async def look(world: World, times: int) -> None:
    """A few looks, far from all that are due."""
    await world.core.ask_for_offers()
    for _ in range(times):
        world.core.loop.queue.keys.ripen()
        if world.core.loop.queue.keys.pending():
            await world.core.loop.look_once()


async def rows(world: World) -> list[Agent]:
    return sorted(await world.core.ctx.agents.live(), key=lambda agent: agent.name)


@pytest.mark.parametrize("what", POISONS)
async def test_a_poisoned_file_changes_nothing_in_the_middle_of_a_burst(what: str, tmp_path: Path) -> None:
    poison = POISONS[what]
    async with open_world(tmp_path) as world:
        core, ctx = world.core, world.core.ctx
        names = [f"linux-{n:06}" for n in range(12)]
        await core.sync()
        await core.ask(*names)
        await look(world, 4)
        agents, definitions, backends = await rows(world), ctx.definitions, dict(ctx.backends)
        assert {agent.phase for agent in agents} != {Phase.REQUESTED}, "the burst has begun"
        config, opened = world.reloader.config, dict(world.opened)

        world.file.write_bytes(poison.content)
        with pytest.raises(ConfigError, match=rf"error\[{poison.code}\]"):
            await world.reloader.reload("ana")

        assert ctx.definitions is definitions
        assert world.reloader.config is config
        assert ctx.backends == backends
        assert world.opened == opened, "no backend was opened for it"
        assert not any(backend.closed for backend in opened.values())
        assert await rows(world) == agents
        assert (await core.sync()).revision == definitions.revision
        await core.settle()
        await world.polls(1)
        assert set((await core.phases()).values()) == {Phase.CONNECTING}, "the burst goes on"


async def test_after_any_number_of_poisoned_files_a_sound_one_is_taken(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        for poison in POISONS.values():
            world.file.write_bytes(poison.content)
            with pytest.raises(ConfigError):
                await world.reloader.reload()
        world.write(BASE.replace("here: { backend: one }", "here: { backend: one, limits: { agents: 7 } }"))
        assert (await world.reloader.reload()).changed == ("pools.here.limits.agents (unset) -> 7",)
