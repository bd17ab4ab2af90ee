"""An older backup is restored (F14): whatever it has forgotten, an agent at work goes on, and no second one comes."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from broker.domain.ids import AgentName
from broker.domain.lifecycle import Phase
from broker.domain.reason import Reason
from broker.ports import Session
from broker.reconcile.orphans import GRACE_S
from broker.testing.backend import Ledger
from broker.testing.clock import ManualClock
from broker.testing.factories import BACKEND
from tests.core import BOOT, Core, open_core

NAME: Final = "linux-000001"
MOMENTS: Final = ("before", Phase.REQUESTED, Phase.LAUNCHING, Phase.BOOTING, Phase.CONNECTING, Phase.ONLINE)


def copy(path: Path, to: Path) -> None:
    """A backup as SQLite makes it beside a running broker."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)


async def live_with_backups(path: Path, ledger: Ledger, clock: ManualClock) -> Session:
    """An agent from its request until it is busy, with a backup of every moment; returns its session."""

    async def back_up(moment: str) -> None:
        copy(path, path.with_name(f"backup-{moment}"))

    async with open_core(path, ledger=ledger, clock=clock) as core:
        await core.sync()
        await back_up("before")
        await core.ask(NAME)
        await back_up(Phase.REQUESTED)
        for _ in range(20):
            core.loop.queue.keys.ripen()
            if not core.loop.queue.keys.pending():
                break
            await core.ask_for_offers()
            await core.loop.look_once()
            await back_up((await core.agent(NAME)).phase)
        session = core.sessions.connect(await core.agent(NAME))
        await core.settle()
        await back_up((await core.agent(NAME)).phase)
        core.says(NAME)
        await core.sync()
        await core.settle()
        await back_up((await core.agent(NAME)).phase)
        return session


async def resume(core: Core, session: Session) -> None:
    """The gateway and Jenkins have lived on: the one tells its session, the other a node that runs a build."""
    core.sessions.resume(session)
    core.says(NAME, busy=True, uses=1)
    for _ in range(10):
        await core.sync()
        await core.advance(GRACE_S / 2, step_s=1)
        await core.orphans.search(BACKEND)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_an_agent_at_work_lives_on_and_is_launched_once(tmp_path: Path, moment: str) -> None:
    path, ledger, clock = tmp_path / "broker.db", Ledger(), ManualClock()
    session = await live_with_backups(path, ledger, clock)
    [ref] = ledger.instances
    for suffix in ("", "-wal", "-shm"):
        path.with_name(f"broker.db{suffix}").unlink(missing_ok=True)
    copy(path.with_name(f"backup-{moment}"), path)
    async with open_core(path, ledger=ledger, clock=clock) as core:
        await resume(core, session)
        assert list(ledger.instances) == [ref]
        assert ledger.total_created() == 1
        assert ledger.terminations.total() == 0
        assert core.sessions.ended == []
        truth = await core.sync()
        assert NAME not in truth.unknown
        assert [agent.name for agent in truth.removed] == []
        if moment != "before":
            agent = await core.agent(NAME)
            assert (agent.phase, agent.busy, agent.instance) == (Phase.ONLINE, True, ref)


async def test_an_agent_that_a_backup_has_forgotten_ends_when_its_build_has(tmp_path: Path) -> None:
    path, ledger, clock = tmp_path / "broker.db", Ledger(), ManualClock()
    session = await live_with_backups(path, ledger, clock)
    for suffix in ("", "-wal", "-shm"):
        path.with_name(f"broker.db{suffix}").unlink(missing_ok=True)
    copy(path.with_name("backup-before"), path)
    async with open_core(path, ledger=ledger, clock=clock) as core:
        await resume(core, session)
        core.sessions.disconnect(session.agent_id)
        assert AgentName(NAME) in (await core.sync()).unknown, "Jenkins takes the node away"
        await core.release(NAME, Reason.COMPLETED)
        await core.sync()
        for _ in range(3):
            await clock.advance(GRACE_S)
            await core.orphans.search(BACKEND)
        assert ledger.instances == {}


async def test_a_lost_database_kills_nobody_and_launches_nothing_twice(tmp_path: Path) -> None:
    path, ledger, clock = tmp_path / "broker.db", Ledger(), ManualClock()
    session = await live_with_backups(path, ledger, clock)
    for suffix in ("", "-wal", "-shm"):
        path.with_name(f"broker.db{suffix}").unlink(missing_ok=True)
    async with open_core(path, ledger=ledger, clock=clock) as core:
        await resume(core, session)
        assert len(ledger.instances) == ledger.total_created() == 1
        assert core.boot == BOOT
