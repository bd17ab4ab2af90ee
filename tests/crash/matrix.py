"""Runs a cell of the matrix: a life in which the broker dies at one point, and what must hold afterwards (I1 to I7)."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from sqlalchemy import select

from broker.domain.agent import Agent
from broker.domain.lifecycle import Phase, may_follow
from broker.store import schema
from tests.core import Core
from tests.crash.plans import Cell, Plan
from tests.crash.points import ANY, FailPoints, Killed, Point
from tests.crash.world import Broken, World, is_over
from tests.unit.store.world import reserved, used

_LONGEST_LIFE = 160
"""Half seconds of virtual time until an agent is gone: many times what it takes when nobody dies."""
_AFTERWARDS = 6
"""Half seconds in which what is over is seen to stay so."""


async def run_cell(directory: Path, cell: Cell, *, again: bool = False) -> list[str]:
    """What does not hold after the broker has died at the cell's point; nothing, if all is well.

    With `again` the next broker dies too, at the same place of its first write, and a third one has to end it.
    """
    deaths = [Point(cell.write, cell.column), *([Point(ANY, cell.column)] if again else [])]
    return await run_deaths(directory, cell.plan, deaths, sure=len(deaths))


async def run_deaths(directory: Path, plan: Plan, deaths: Sequence[Point], *, sure: int = 1) -> list[str]:
    """One life over several brokers; the last of them lives. The first `sure` must have died at their points."""
    world = World(directory, plan)
    for number, point in enumerate(deaths):
        points = FailPoints(point)
        try:
            async with world.broker(points) as core:
                await _live(world, core)
        except Killed:
            continue
        except Broken as broken:
            return [str(broken)]
        if number < sure:
            return [f"the broker was never at {point.write}, {point.column}: {plan.name}"]
    try:
        async with world.broker(FailPoints()) as core:
            await _live(world, core)
            return await _violations(world, core)
    except Broken as broken:
        return [str(broken)]


async def _live(world: World, core: Core) -> None:
    for _ in range(_LONGEST_LIFE):
        if await is_over(world, core):
            break
        await world.tick(core)
    for _ in range(_AFTERWARDS):
        await world.tick(core)


async def _violations(world: World, core: Core) -> list[str]:
    found, agent = list[str](), await core.agent("linux-000001")
    if agent.phase is not Phase.GONE:
        found.append(f"stuck in {agent.phase}: {agent.why} {agent.message}")
    if world.ledger.instances:
        found.append(f"left behind: {list(world.ledger.instances)}")
    if world.session is not None:
        found.append("a session is left")
    if world.jenkins.node:
        found.append("Jenkins has a node without an agent")
    if max(world.ledger.created.values(), default=0) > 1:
        found.append("a token has made two instances")
    if world.ledger.total_created() > world.plan.most_instances:
        found.append(f"{world.ledger.total_created()} instances were made, at most {world.plan.most_instances} are due")
    if agent.outcome is not world.plan.outcome:
        found.append(f"Jenkins is told {agent.outcome}, {agent.why}; it was {world.plan.outcome}")
    if world.jenkins.built and not agent.was_online:
        found.append("a build ran on an agent that was never online")
    database = core.ctx.database
    if await used(database) or await reserved(database):
        found.append(f"not given back: {await used(database)}, {await reserved(database)}")
    return found + _of_tokens(world) + await _of_history(core, agent)


def _of_tokens(world: World) -> list[str]:
    """A launch that is made again is made with the token that was saved for it."""
    tokens: dict[int, set[str]] = {}
    for spec in world.ledger.calls:
        tokens.setdefault(spec.key.attempt, set()).add(spec.key.token)
    return [f"attempt {n} was launched with {len(t)} tokens" for n, t in tokens.items() if len(t) > 1]


async def _of_history(core: Core, agent: Agent) -> list[str]:
    """One event a transition, and each one allowed."""
    h = schema.history.c
    query = select(h.event, h.phase).where(h.agent == agent.id).order_by(h.number)
    async with core.ctx.database.reading() as connection:
        rows = (await connection.execute(query)).all()
    steps = [(row.event, Phase(row.phase)) for row in rows if row.phase]
    found = []
    for (event, before), (next_event, after) in pairwise(steps):
        if before is not after and not may_follow(before, after):
            found.append(f"history goes from {before} to {after}")
        if before is after and event == next_event and event not in {"waiting"}:
            found.append(f"history tells {event} twice")
    if [event for event, _ in steps].count("gone") > 1:
        found.append("history tells the end twice")
    return found
