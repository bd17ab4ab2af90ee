"""Hosts as rows: what a change writes, and that the faster one wins."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.host import HOST_TRANSITIONS, Host, HostPhase, new_host_id
from broker.domain.ids import ControllerName, HostId, HostRef, PolicyName, PoolName
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.errors import Conflict, LimitReached, NotFound
from broker.store import schema
from broker.store.engine import Database
from broker.store.hosts import Hosts
from broker.store.pruning import prune
from broker.testing.clock import EPOCH
from tests.unit.store.world import opened

LATER = EPOCH + timedelta(seconds=40)


def host(number: int = 1, **other: Any) -> Host:
    values: dict[str, Any] = {
        "id": HostId(f"h-{number:012x}"),
        "pool": PoolName("vms"),
        "phase": HostPhase.REQUESTED,
        "version": 1,
        "requested_at": EPOCH + timedelta(seconds=number),
        "phase_since": EPOCH,
    }
    return Host(**values | other)


async def events(database: Database, host_id: HostId) -> list[tuple[str, str, str, str | None]]:
    h = schema.history.c
    async with database.reading() as connection:
        rows = await connection.execute(
            select(h.event, h.pool, h.actor, h.why).where(h.name == host_id, h.agent.is_(None)).order_by(h.number)
        )
        return [tuple(row) for row in rows]


async def test_a_host_is_read_as_it_was_written(tmp_path: Path) -> None:
    whole = host(
        phase=HostPhase.READY,
        deadline=LATER,
        zone="cn-a",
        type="ecs.c7.large",
        capacity="spot",
        size=Resources(cpu_milli=2000, memory_mib=4096),
        slots=4,
        token="t-1",
        ref=HostRef("i-1"),
        address="172.16.0.9",
        host_key="ssh-ed25519 AAAA",
        facts={"java": "21", "odd": 'a "b"\n'},
        uses=7,
        empty_since=LATER,
        ready_at=LATER,
        gone_at=LATER,
        why=Reason.INSUFFICIENT_CAPACITY,
        message="OperationDenied.NoStock: sold out",
        asked_by="ann",
        controller=ControllerName("ci"),
        policy=PolicyName("linux"),
        job="a/b",
        build_url="https://ci/job/a/job/b/1/",
    )
    async with opened(tmp_path / "broker.db") as (database, _):
        hosts = Hosts(database)
        await hosts.add([whole, host(2)], EPOCH)
        assert await hosts.get(whole.id) == whole
        assert await hosts.living() == [whole, host(2)]
        assert await hosts.some([host(2).id, HostId("h-none")]) == {host(2).id: host(2)}
        with pytest.raises(NotFound, match="h-none"):
            await hosts.get(HostId("h-none"))


async def test_a_change_has_its_event_and_a_slower_one_is_told(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, _):
        hosts = Hosts(database)
        [first] = await hosts.add([host()], EPOCH, "ann")
        creating = await hosts.change(first, replace(first, phase=HostPhase.CREATING), "host-creating", LATER)
        assert (creating.version, (await hosts.get(first.id))) == (2, creating)
        with pytest.raises(Conflict, match=first.id):
            await hosts.change(first, replace(first, phase=HostPhase.GONE), "host-gone", LATER)
        ended = replace(creating, phase=HostPhase.DELETING, why=Reason.INSUFFICIENT_CAPACITY, message="sold out")
        await hosts.change(creating, ended, "host-deleting", LATER, "bob")
        assert await events(database, first.id) == [
            ("host-requested", "vms", "ann", None),
            ("host-creating", "vms", "", None),
            ("host-deleting", "vms", "bob", "InsufficientCapacity"),
        ]


async def test_what_is_written_with_a_change_is_undone_with_it(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, _):
        hosts = Hosts(database)
        [first] = await hosts.add([host()], EPOCH)

        async def another(connection: AsyncConnection) -> None:
            await connection.execute(schema.meta.insert().values(key="also", value="written"))

        stale = replace(first, version=9)
        with pytest.raises(Conflict):
            await hosts.change(stale, replace(stale, phase=HostPhase.GONE), "host-gone", LATER, also=another)
        assert await database.recall("also") is None
        await hosts.change(first, replace(first, phase=HostPhase.GONE), "host-gone", LATER, also=another)
        assert await database.recall("also") == "written"
        assert await hosts.living() == []


async def test_only_the_changes_of_phase_that_there_are_can_be_written(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, _):
        hosts = Hosts(database)
        for now in HostPhase:
            for after in set(HostPhase) - HOST_TRANSITIONS[now] - {now}:
                [one] = await hosts.add([replace(host(), id=new_host_id(), phase=now)], EPOCH)
                with pytest.raises(ValueError, match=f"{now} may not become {after}"):
                    await hosts.change(one, replace(one, phase=after), f"host-{after}", LATER)
                assert await hosts.get(one.id) == one


async def test_one_order_gives_all_its_hosts_one_token_or_none(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, _):
        hosts = Hosts(database)
        asked = await hosts.add([host(n) for n in range(1, 4)], EPOCH)
        moved = replace(asked[2], phase=HostPhase.GONE)
        await hosts.change(asked[2], moved, "host-gone", EPOCH)
        with pytest.raises(Conflict):
            await hosts.order(asked, "token", LATER, LATER)
        assert [(h.phase, h.token) for h in await hosts.living()] == [(HostPhase.REQUESTED, None)] * 2
        ordered = await hosts.order(asked[:2], "token", LATER, LATER + timedelta(minutes=10))
        assert ordered == await hosts.living()
        assert {(h.phase, h.token, h.phase_since, h.version) for h in ordered} == {
            (HostPhase.CREATING, "token", LATER, 2)
        }


async def test_no_more_hosts_are_added_than_the_pool_may_have(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, _):
        hosts = Hosts(database)
        await hosts.add([host(1), host(2), host(9, phase=HostPhase.GONE), host(8, pool=PoolName("other"))], EPOCH)
        with pytest.raises(LimitReached, match=r"pool vms has 2 of 3 hosts \(limits\.hosts: 3\)") as refused:
            await hosts.add([host(3), host(4)], EPOCH, most=3)
        assert refused.value.reason is Reason.POOL_AT_LIMIT
        assert len(await hosts.living()) == 3
        await hosts.add([host(3)], EPOCH, most=3)
        assert len(await hosts.living()) == 4


async def test_a_host_that_is_long_gone_is_forgotten_with_what_was_told_of_it(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, _):
        hosts = Hosts(database)
        gone = {"phase": HostPhase.GONE, "requested_at": EPOCH}
        old, young, living = host(1, **gone, gone_at=EPOCH), host(2, **gone, gone_at=LATER), host(3)
        await hosts.add([old], EPOCH)
        await hosts.add([young, living], LATER)
        assert await prune(database, LATER) == 1
        assert set(await hosts.some([old.id, young.id, living.id])) == {young.id, living.id}
        assert await events(database, old.id) == []
        assert len(await events(database, young.id)) == 1
        assert await prune(database, LATER) == 0
