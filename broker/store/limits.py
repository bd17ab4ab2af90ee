"""Limits as rows: reserved in the transaction that saves a placement, given back when the agent leaves (design D7)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from sqlalchemy import and_, delete, insert, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.ids import AgentId
from broker.domain.limits import Claim, Scope
from broker.errors import LimitReached
from broker.store.schema import limits, reservations


async def read_used(connection: AsyncConnection) -> dict[tuple[Scope, str], int]:
    """What is taken of every limit."""
    rows = await connection.execute(select(limits.c.scope, limits.c.key, limits.c.used).where(limits.c.used != 0))
    return {(Scope(scope), key): used for scope, key, used in rows}


async def reserve(connection: AsyncConnection, claims: Mapping[AgentId, Sequence[Claim]]) -> None:
    """Takes all claims of all agents; `LimitReached` (and the transaction must end) when one has no room."""
    for claim in _sums(claims):
        row = and_(limits.c.scope == claim.scope, limits.c.key == claim.key)
        room = true() if claim.cap is None else limits.c.used + claim.amount <= claim.cap
        values = {"used": limits.c.used + claim.amount, "cap": claim.cap}
        taken = await connection.execute(update(limits).where(row, room).values(**values))
        if taken.rowcount:
            continue
        used = (await connection.execute(select(limits.c.used).where(row))).scalar()
        if used is not None or (claim.cap is not None and claim.amount > claim.cap):
            raise LimitReached(claim.reason, claim.refusal(used or 0))
        fresh = {"scope": claim.scope, "key": claim.key, "used": claim.amount, "cap": claim.cap}
        await connection.execute(insert(limits).values(**fresh))
    rows = [
        {"agent": agent_id, "scope": c.scope, "key": c.key, "amount": c.amount}
        for agent_id, of_agent in claims.items()
        for c in of_agent
    ]
    if rows:
        await connection.execute(insert(reservations), rows)


def _sums(claims: Mapping[AgentId, Sequence[Claim]]) -> list[Claim]:
    """One claim for each limit, of all that the agents take of it together."""
    sums: dict[tuple[Scope, str], Claim] = {}
    for claim in chain.from_iterable(claims.values()):
        known = sums.get((claim.scope, claim.key))
        sums[claim.scope, claim.key] = replace(claim, amount=claim.amount + known.amount) if known else claim
    return list(sums.values())


async def release(connection: AsyncConnection, agent_id: AgentId, scopes: Iterable[Scope] | None = None) -> None:
    """Gives back what an agent has reserved, all or of some scopes. Nothing reserved is nothing to do."""
    clauses = [reservations.c.agent == agent_id]
    if scopes is not None:
        clauses.append(reservations.c.scope.in_(list(scopes)))
    for row in (await connection.execute(select(reservations).where(*clauses))).all():
        given_back = update(limits).where(limits.c.scope == row.scope, limits.c.key == row.key)
        await connection.execute(given_back.values(used=limits.c.used - row.amount))
    await connection.execute(delete(reservations).where(*clauses))
