"""What a controller gave an agent's last connection: one an agent, gone with it."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import func, select

from broker.admission import KeptCookies
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.keys import Keyring
from broker.store import schema
from broker.store.agents import Agents
from broker.store.cookies import SealedCookies
from broker.store.engine import Database
from broker.store.pruning import prune
from broker.testing.clock import EPOCH
from broker.testing.factories import agent_id, make_agent


async def test_the_last_one_of_an_agent_is_kept(database: Database) -> None:
    cookies = SealedCookies(database)
    assert await cookies.of(agent_id(1)) is None
    for sealed in (b"first", b"second"):
        await cookies.keep(agent_id(1), sealed)
    assert await cookies.of(agent_id(1)) == b"second"
    assert await cookies.of(agent_id(2)) is None


async def test_it_stands_in_the_database_sealed(database: Database) -> None:
    sealed, kept = SealedCookies(database), KeptCookies(SealedCookies(database), Keyring(b"k" * 32))
    assert await kept.kept(agent_id(1)) == ""
    await kept.keep(agent_id(1), "canary" * 10)
    assert await kept.kept(agent_id(1)) == "canary" * 10
    assert b"canary" not in (await sealed.of(agent_id(1)) or b"")


async def test_it_goes_with_its_agent(database: Database, agents: Agents) -> None:
    gone, living = await agents.accept([make_agent(1), make_agent(2)])
    cookies = SealedCookies(database)
    for agent in (gone, living):
        await cookies.keep(agent.id, b"sealed")
    over = replace(gone, phase=Phase.GONE, goal=Goal.GONE, outcome=Outcome.CANCELLED, gone_at=EPOCH)
    await agents.change(gone, over, "gone", EPOCH)
    await prune(database, EPOCH + timedelta(days=1))
    assert await cookies.of(gone.id) is None
    assert await cookies.of(living.id) == b"sealed"
    async with database.reading() as connection:
        rows = select(func.count()).select_from(schema.controller_cookies)
        assert (await connection.execute(rows)).scalar_one() == 1
