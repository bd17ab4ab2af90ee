"""Limits as rows: reserved in the transaction that saves a placement, given back when the agent leaves (design D7).

What an agent has taken is text in its own row, `held`: a JSON list of [scope, key, amount].
"""

import json
from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import and_, bindparam, delete, insert, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.limits import Claim, Scope
from broker.errors import LimitReached
from broker.store.schema import limits

_GIVE_BACK: Final = (
    update(limits)
    .where(limits.c.scope == bindparam("of_scope"), limits.c.key == bindparam("of_key"))
    .values(used=limits.c.used - bindparam("amount"))
)


async def read_used(connection: AsyncConnection) -> dict[tuple[Scope, str], int]:
    """What is taken of every limit."""
    rows = await connection.execute(select(limits.c.scope, limits.c.key, limits.c.used).where(limits.c.used != 0))
    return {(Scope(scope), key): used for scope, key, used in rows}


async def reserve(connection: AsyncConnection, claims: Iterable[Sequence[Claim]]) -> None:
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


async def forget_unused(connection: AsyncConnection) -> None:
    """Deletes rows of which nothing is taken, for jobs, policies and pools come and go; budgets have their charges."""
    unused = (limits.c.used == 0, limits.c.scope != Scope.POLICY_BUDGET)
    await connection.execute(delete(limits).where(*unused))


def as_held(claims: Iterable[Claim]) -> str:
    """The text of claims."""
    return json.dumps([(c.scope, c.key, c.amount) for c in claims], separators=(",", ":"))


def _sums(claims: Iterable[Sequence[Claim]]) -> list[Claim]:
    """One claim for each limit, of all that the agents take of it together; equal agents share their claims."""
    times: dict[int, list[Any]] = {}
    for one in claims:
        times.setdefault(id(one), [one, 0])[1] += 1
    sums: dict[tuple[Scope, str], tuple[Claim, int]] = {}
    for of_one, number in times.values():
        for claim in of_one:
            _, amount = sums.get((claim.scope, claim.key), (claim, 0))
            sums[claim.scope, claim.key] = claim, amount + claim.amount * number
    return [replace(claim, amount=amount) for claim, amount in sums.values()]


async def give_back(connection: AsyncConnection, held: str, scopes: Container[str] = frozenset(Scope)) -> str:
    """Gives back what is held, all or of some scopes; returns what is still held then. Nothing held: nothing to do."""
    rows = json.loads(held) if held else []
    given = [{"of_scope": scope, "of_key": key, "amount": amount} for scope, key, amount in rows if scope in scopes]
    if given:
        await connection.execute(_GIVE_BACK, given)
    kept = [row for row in rows if row[0] not in scopes]
    return json.dumps(kept, separators=(",", ":")) if kept else ""
