"""Hosts of ours as rows: read, compare-and-set. Every change has its history event in the same transaction."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, and_, bindparam, func, insert, select, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.host import Host, HostPhase, host_may_follow
from broker.domain.ids import HostId, PoolName
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.errors import Conflict, LimitReached, NotFound
from broker.store.columns import Moment
from broker.store.engine import Database, Work
from broker.store.schema import HOST_IS_LIVE, IS_LIVE, IS_WAITING, agents, history, hosts

_BATCH: Final = 500
"""Below the bound on variables of one SQLite statement."""
_OLDEST_FIRST: Final = (hosts.c.requested_at, hosts.c.id)
_READ: Final[Mapping[str, type]] = {"phase": HostPhase, "why": Reason}


class HostRows:
    """The hosts that were read, by id: taken again only while the database says that their version is the same.

    Reads of what its own transaction has written must not come through here: a rollback would leave it.
    """

    def __init__(self) -> None:
        """Knows nobody."""
        self._known: dict[HostId, Host] = {}

    async def living(self, connection: AsyncConnection) -> list[Host]:
        """The hosts that are not gone, the oldest first."""
        query = select(hosts.c.id, hosts.c.version).where(HOST_IS_LIVE).order_by(*_OLDEST_FIRST)
        found = (await connection.execute(query)).all()
        known, told = self._known, dict[HostId, Host]()
        changed = list[HostId]()
        for host_id, version in found:
            host = known.get(host_id)
            if host is None or host.version != version:
                changed.append(host_id)
            else:
                told[host_id] = host
        for start in range(0, len(changed), _BATCH):
            these = await _select(connection, hosts.c.id.in_(changed[start : start + _BATCH]))
            told |= {host.id: host for host in these}
        self._known = told
        return [told[host_id] for host_id, _ in found if host_id in told]


class Hosts:
    """The hosts of one database. Rows that are gone stay for a time, as those of agents do."""

    def __init__(self, database: Database) -> None:
        """Keeps in memory only what it reads again by version."""
        self._database = database
        self._rows = HostRows()

    async def living(self) -> list[Host]:
        """All hosts that are not gone, the oldest first."""
        return await self._database.read(self._rows.living)

    async def get(self, host_id: HostId) -> Host:
        """One host, alive or gone; `NotFound` if there is none."""
        found = await self._database.read(lambda connection: _select(connection, hosts.c.id == host_id))
        if not found:
            raise NotFound(f"no host {host_id}")
        return found[0]

    async def some(self, ids: Iterable[HostId]) -> dict[HostId, Host]:
        """The hosts of these ids that are known, alive or gone."""
        wanted = list(dict.fromkeys(ids))

        async def work(connection: AsyncConnection) -> list[Host]:
            told = list[Host]()
            for start in range(0, len(wanted), _BATCH):
                told += await _select(connection, hosts.c.id.in_(wanted[start : start + _BATCH]))
            return told

        return {host.id: host for host in await self._database.read(work)}

    async def of_token(self, token: str) -> list[Host]:
        """All hosts of one order, alive or gone, in the order of their ids."""
        found = await self._database.read(lambda connection: _select(connection, hosts.c.token == token))
        return sorted(found, key=lambda host: host.id)

    async def extend_deadlines(self, by: timedelta) -> None:
        """Moves the deadlines of all living hosts: a time that did not count."""
        await self._move(by, "deadline")

    async def shift(self, by: timedelta) -> None:
        """Moves all that counts from a moment in the life of a living host: the wall clock was set by so much."""
        await self._move(by, "deadline", "requested_at", "phase_since", "ready_at", "empty_since")

    async def _move(self, by: timedelta, *columns: str) -> None:
        by_us = by // timedelta(microseconds=1)
        moved = {name: type_coerce(type_coerce(hosts.c[name], BigInteger) + by_us, Moment) for name in columns}
        query = update(hosts).where(HOST_IS_LIVE).values(**moved, version=hosts.c.version + 1)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(query)

        await self._database.transaction(work)

    async def add(self, asked: Sequence[Host], at: datetime, actor: str = "", *, most: int | None = None) -> list[Host]:
        """Inserts hosts, all or none, with an event for each.

        `LimitReached`: then a pool of theirs would have over `most` that are not gone.
        """

        async def work(connection: AsyncConnection) -> None:
            if most is not None:
                await _check_most(connection, Counter(host.pool for host in asked), most)
            await insert_hosts(connection, asked, at, actor)

        if asked:
            await self._database.transaction(work)
        return list(asked)

    async def change(
        self, before: Host, after: Host, event: str, at: datetime, actor: str = "", also: Work | None = None
    ) -> Host:
        """Replaces `before` by `after` if nobody was faster, with a history event; returns it with its new version.

        `event` begins with "host-". `actor` is the person or program that asked for it, empty for the broker itself.
        `also` is written with it, first. `Conflict`: the row has changed since `before` was read; an agent that is
        placed on a host changes it. `ValueError`: the change of phase is not allowed.
        """

        async def work(connection: AsyncConnection) -> Host:
            if also is not None:
                await also(connection)
            changed = await _compare_and_set(connection, before, after)
            await connection.execute(insert(history), [host_event(changed, event, at, actor)])
            return changed

        return await self._database.transaction(work)

    async def order(self, asked: Sequence[Host], token: str, at: datetime, deadline: datetime) -> list[Host]:
        """Saves before the call that these are made by one call with this token: they are `creating`, all or none.

        `Conflict`: one of them has changed since it was read.
        """

        async def work(connection: AsyncConnection) -> list[Host]:
            ordered = [
                await _compare_and_set(
                    connection,
                    host,
                    replace(host, phase=HostPhase.CREATING, phase_since=at, deadline=deadline, token=token),
                )
                for host in asked
            ]
            await connection.execute(insert(history), [host_event(host, "host-creating", at) for host in ordered])
            return ordered

        return await self._database.transaction(work) if asked else []

    async def agents_on(self) -> Mapping[HostId, int]:
        """How many living agents have a place on each host; one without any is left out."""
        query = select(agents.c.host, func.count()).where(IS_LIVE, ~IS_WAITING, agents.c.host != "")

        async def work(connection: AsyncConnection) -> Mapping[HostId, int]:
            rows = await connection.execute(query.group_by(agents.c.host))
            return {HostId(host): int(number) for host, number in rows}

        return await self._database.read(work)

    async def count_on(self, host_id: HostId) -> int:
        """How many living agents have a place on one host."""
        query = select(func.count()).where(IS_LIVE, ~IS_WAITING, agents.c.host == host_id)

        async def work(connection: AsyncConnection) -> int:
            return int((await connection.execute(query)).scalar() or 0)

        return await self._database.read(work)


async def insert_hosts(connection: AsyncConnection, asked: Sequence[Host], at: datetime, actor: str = "") -> None:
    """Writes new rows with their events, within somebody's transaction; none is nothing to do."""
    if asked:
        await connection.execute(insert(hosts), [_values(host) for host in asked])
        events = [host_event(host, f"host-{host.phase}", at, actor) for host in asked]
        await connection.execute(insert(history), events)


async def take_places(connection: AsyncConnection, placed: Mapping[HostId, int]) -> None:
    """So many agents more have a place on each host: whoever read it before then finds it changed."""
    if placed:
        await connection.execute(_TAKE, [{"of_id": host, "number": number} for host, number in placed.items()])


_TAKE: Final = (
    update(hosts)
    .where(hosts.c.id == bindparam("of_id"))
    .values(uses=hosts.c.uses + bindparam("number"), version=hosts.c.version + 1, empty_since=None)
)


def host_event(host: Host, event: str, at: datetime, actor: str = "") -> dict[str, Any]:
    """The history event of what a host now is; its phase is in the event's name."""
    told: dict[str, Any] = {"at": at, "controller": host.controller, "name": host.id, "policy": host.policy}
    told |= {"event": event, "attempt": 0, "pool": host.pool, "why": host.why, "message": host.message, "actor": actor}
    return told


async def _compare_and_set(connection: AsyncConnection, before: Host, after: Host) -> Host:
    changed = replace(after, version=before.version + 1)
    if before.phase != after.phase and not host_may_follow(before.phase, after.phase):
        raise ValueError(f"host {before.id}: {before.phase} may not become {after.phase}")
    this = and_(hosts.c.id == before.id, hosts.c.version == before.version)
    was = _values(before)
    values = {name: value for name, value in _values(changed).items() if value != was[name]}
    done = await connection.execute(update(hosts).where(this).values(**values))
    if done.rowcount != 1:
        raise Conflict(f"host {before.id} has changed since it was read")
    return changed


async def _check_most(connection: AsyncConnection, asked: Mapping[PoolName, int], most: int) -> None:
    living = (
        select(hosts.c.pool, func.count().label("number"))
        .where(HOST_IS_LIVE, hosts.c.pool.in_(list(asked)))
        .group_by(hosts.c.pool)
    )
    used: dict[str, int] = {row.pool: row.number for row in await connection.execute(living)}
    for pool, number in asked.items():
        has = used.get(pool, 0)
        if has + number > most:
            raise LimitReached(Reason.POOL_AT_LIMIT, f"pool {pool} has {has} of {most} hosts (limits.hosts: {most})")


async def _select(connection: AsyncConnection, *clauses: ColumnElement[bool]) -> list[Host]:
    rows = await connection.execute(select(hosts).where(*clauses).order_by(*_OLDEST_FIRST))
    return [_host(dict(row._mapping)) for row in rows]


def _host(values: dict[str, Any]) -> Host:
    cpu, memory = values.pop("cpu_milli"), values.pop("memory_mib")
    size = None if cpu is None or memory is None else Resources(cpu_milli=cpu, memory_mib=memory)
    for name, kind in _READ.items():
        if values[name] is not None:
            values[name] = kind(values[name])
    return Host(**values, size=size)


def _values(host: Host) -> dict[str, Any]:
    values = {field.name: getattr(host, field.name) for field in fields(Host)}
    size: Resources | None = values.pop("size")
    return values | {
        "cpu_milli": None if size is None else size.cpu_milli,
        "memory_mib": None if size is None else size.memory_mib,
    }
