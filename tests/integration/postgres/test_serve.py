"""A whole broker on PostgreSQL: agents come, go and are remembered over a restart; a second broker is kept off."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from broker.config.settings import DatabaseSettings
from broker.testing.backend import Ledger
from tests.integration.faults.world import World, running_world, until
from tests.integration.serve.world import Server, config, write
from tests.postgres import Postgres


@pytest.fixture
def settings(postgres: Postgres) -> Iterator[DatabaseSettings]:
    made = postgres.new_database()
    yield made
    postgres.drop(made)


async def test_agents_are_launched_once_and_known_after_a_restart(
    tmp_path: Path, settings: DatabaseSettings, postgres: Postgres
) -> None:
    ledger = Ledger()
    async with running_world(tmp_path, ledger, database={"url": settings.url}) as world:
        assert await world.ask(*(f"linux-{n:06}" for n in range(20))) == (grpc.StatusCode.OK, "")
        await world.launched(20)
        await until(lambda: _all_connecting(world))
        assert await world.store_line() == "store: ok"
    assert not (tmp_path / "state" / "broker.db").exists()
    async with running_world(tmp_path, ledger, database={"url": settings.url}) as world:
        assert len(await world.broker.ctx.agents.live()) == 20
        assert await world.ask("linux-000000", "linux-000020") == (grpc.StatusCode.OK, "")
        await world.launched(21)


async def _all_connecting(world: World) -> bool:
    agents = await world.broker.ctx.agents.live()
    return {agent.phase for agent in agents} == {"connecting"}


def test_the_command_serves_from_it_and_a_second_one_is_kept_off(tmp_path: Path, settings: DatabaseSettings) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with Server(write(tmp_path / "one", config(tmp_path / "one", database={"url": settings.url}))) as first:
        first.started()
        assert first.get("readyz")[1].startswith("store: ok")
        with Server(write(tmp_path / "two", config(tmp_path / "two", database={"url": settings.url}))) as second:
            code, said = second.refused()
            assert code == 1
            assert "another agentbroker runs on it; stop that one, or name another database" in said
        assert first.terminate()[0] == 0


async def test_a_server_that_is_away_for_a_while_costs_nothing(
    tmp_path: Path, settings: DatabaseSettings, postgres: Postgres
) -> None:
    async with running_world(tmp_path, database={"url": settings.url}) as world:
        assert await world.ask("linux-000001") == (grpc.StatusCode.OK, "")
        await world.launched(1)
        name = settings.url.partition("@/")[2].partition("?")[0]
        postgres.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        postgres.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        code, said = await world.ask("linux-000002")
        assert code is grpc.StatusCode.UNAVAILABLE, said
        assert not (await world.store_line()).startswith("store: ok")
        assert await world.alive()
        postgres.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

        async def accepted() -> bool:
            return (await world.ask("linux-000002"))[0] is grpc.StatusCode.OK

        await until(accepted)
        await world.launched(2)
        assert world.ledger.terminations.total() == 0


async def test_an_older_sqlite_file_is_left_alone(tmp_path: Path, settings: DatabaseSettings) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    sqlite3.connect(state / "broker.db").close()
    async with running_world(tmp_path, database={"url": settings.url}) as world:
        assert await world.store_line() == "store: ok"
    assert (state / "broker.db").stat().st_size == 0
