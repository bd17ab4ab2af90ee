"""Agents that are long gone are forgotten, with their history: what is kept does not grow without end."""

from broker.reconcile.context import Context
from broker.store import pruning
from broker.telemetry import events


async def prune(ctx: Context) -> int:
    """Deletes what is older than `keep_history`, batch by batch; returns how many agents and notes that were."""
    before, total = ctx.clock.now() - ctx.keep_history, 0
    while True:
        deleted = await pruning.prune(ctx.database, before)
        total += deleted
        if deleted < pruning.BATCH:
            break
    if total:
        events.HISTORY_PRUNED.emit(deleted=total, before=before.isoformat())
    return total
