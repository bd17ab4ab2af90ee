"""Pure answers to `explain policy` and `explain pool`: who waits, how each pool stands, and which lever would help."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from broker.domain.ids import PoolName
from broker.domain.lengths import short
from broker.domain.lifecycle import PENDING, Phase
from broker.domain.limits import Lever, LeverKind, Scope
from broker.domain.placement import Rejection
from broker.domain.policy import Policy
from broker.domain.reason import REASONS, Fixer, Reason
from broker.views.budget import spent
from broker.views.explain import Explanation, Line
from broker.views.snapshot import Snapshot, count
from broker.views.words import Words, lever_words, moment

_RAISE: Final = 1.4
"""What a cap is proposed to be raised by."""
_CAPACITY: Final = frozenset({Reason.INSUFFICIENT_CAPACITY, Reason.SPOT_UNAVAILABLE, Reason.QUOTA_EXCEEDED})


def of_pool(name: PoolName, snapshot: Snapshot, words: Words) -> Explanation:
    """How a pool stands, what it holds of its limits, what operators have set, and who uses it."""
    pool, rest, lever = snapshot.definitions.pools[name], snapshot.resting(name), snapshot.lever_of(name)
    counts = count(a for a in snapshot.agents if a.pool == name)
    held = _held(name, snapshot)
    users = [p.name for p in snapshot.definitions.policies.values() if name in p.chain]
    lines = [Line(name="agents", state=held, text=f"{counts.busy} busy")]
    if pool.limits.pending is not None:
        starting = sum(counts.by_phase.get(p, 0) for p in PENDING)
        lines.append(Line(name="starting", state=f"{starting} of {pool.limits.pending}"))
    lines.append(Line(name="policies", state=str(len(users)), text=", ".join(users)))
    for one in (one for one in snapshot.timed if one.pool == name):
        why = f': "{one.reason}"' if one.reason else ""
        until = moment(one.until, snapshot.now)
        lines.append(Line(name="set", state=f"{one.key}={one.value}", text=f"until {until} UTC by {one.actor}{why}"))
    full = pool.limits.agents is not None and counts.total >= pool.limits.agents
    reason = Reason.POOL_COOLING_DOWN if rest else Reason.POOL_AT_LIMIT if full else None
    summary = f"pool {name} is ready: {held} agents"
    if rest is not None:
        lines.insert(0, Line(name="failed", state=rest.why or "", text=words.message(rest.why, rest.message)))
        summary = f"pool {name} is cooling down, {_until(rest.until, snapshot.now)}: its launches failed"
    elif full:
        summary = f"pool {name} is at its limit ({held} agents)"
    commands = [f"agentbroker events --pool {name} --since 1h", f"agentbroker get agents --where pool={name}"]
    if lever is not None:
        reason = _reason(lever)
        summary = f"pool {name} is {lever_words(lever)}"
        commands.insert(0, f"agentbroker pool resume {name}")
    return Explanation(
        about="pool",
        name=name,
        summary=summary,
        reason=reason,
        hint=REASONS[reason].hint if reason else "",
        lines=tuple(lines),
        commands=tuple(commands),
    )


def of_policy(policy: Policy, snapshot: Snapshot, words: Words) -> Explanation:
    """Who waits for a policy, and how each pool of its chain stands, fallbacks too."""
    counts = count(a for a in snapshot.agents if a.policy == policy.name)
    waiting = snapshot.waiting(policy.name)
    first = waiting[0] if waiting else None
    refused: dict[PoolName, Rejection] = {}
    for refusal in snapshot.refusals(policy):
        refused.setdefault(refusal.pool, refusal)
    lines = [_line(pool, policy, refused.get(pool), snapshot, words) for pool in dict.fromkeys(policy.chain)]
    lines += _budget(policy, snapshot)
    oldest = f" (oldest {short(snapshot.now - first.requested_at)})" if first else ""
    starting = sum(counts.by_phase.get(p, 0) for p in PENDING)
    online = counts.by_phase.get(Phase.ONLINE, 0)
    commands = [f"agentbroker explain {first.name}"] if first else []
    commands += _levers(list(refused.values()), snapshot)
    return Explanation(
        about="policy",
        name=policy.name,
        summary=f"policy {policy.name}   {len(waiting)} waiting{oldest}   {online} online   {starting} launching",
        reason=first.why if first else None,
        hint=words.hint(first.why, first.message) if first else "",
        lines=tuple(lines),
        commands=tuple(commands[:4]) or (f"agentbroker get agents --where policy={policy.name}",),
    )


def _line(pool: PoolName, policy: Policy, refusal: Rejection | None, snapshot: Snapshot, words: Words) -> Line:
    busy = count(a for a in snapshot.agents if a.pool == pool).busy
    agents = f"{_held(pool, snapshot)} agents, {busy} busy"
    step = next((step for step in policy.fallback if step.pool == pool), None)
    if refusal is None:
        after = f"fallback after {short(step.after)}; " if step and step.after else "fallback; " if step else ""
        return Line(name=pool, state="standby" if step else "ready", text=f"{after}{agents}")
    text = words.rejection(refusal).message
    lever, rest = snapshot.lever_of(pool), snapshot.resting(pool)
    match refusal.reason:
        case Reason.POOL_AT_LIMIT:
            own = snapshot.definitions.pools[pool].limits.agents
            at_agents = own is not None and snapshot.used.get((Scope.POOL_AGENTS, pool), 0) >= own
            return Line(name=pool, state="at limit", text=agents if at_agents else text, reason=refusal.reason)
        case Reason.POOL_PAUSED | Reason.POOL_DRAINING if lever is not None:
            state = "paused" if lever.kind is LeverKind.PAUSE else "draining"
            why = f': "{lever.reason}"' if lever.reason else ""
            until = f" until {moment(lever.until, snapshot.now)} UTC" if lever.until else ""
            said = f"by {lever.actor} {short(snapshot.now - lever.since)} ago{until}{why}"
            return Line(name=pool, state=state, text=said, reason=refusal.reason)
        case Reason.POOL_COOLING_DOWN if rest is not None:
            fix = "   <- the cause to fix" if _is_to_fix(rest.why) else ""
            told = words.line(rest.why, rest.message)
            state = f"cooling down {_until(rest.until, snapshot.now)}"
            return Line(name=pool, state=state, text=f"{told}{fix}", reason=refusal.reason)
        case reason:
            return Line(name=pool, state="refuses", text=f"{reason}: {text}", reason=reason)


def _budget(policy: Policy, snapshot: Snapshot) -> list[Line]:
    amount, told = spent(policy, snapshot)
    return [Line(name="budget", state=amount, text=told)] if told else []


def _levers(refusals: Sequence[Rejection], snapshot: Snapshot) -> list[str]:
    """Which commands would change how pools stand."""
    found = []
    for refusal in refusals:
        cap = snapshot.definitions.pools[refusal.pool].limits.agents
        rest = snapshot.resting(refusal.pool)
        if refusal.reason is Reason.POOL_AT_LIMIT and cap is not None:
            more = -(-cap * round(_RAISE * 10) // 10)
            found.append(f"agentbroker pool set {refusal.pool} limits.agents={more} --for 2h")
        elif refusal.reason in {Reason.POOL_PAUSED, Reason.POOL_DRAINING}:
            found.append(f"agentbroker pool resume {refusal.pool}")
        elif refusal.reason is Reason.POOL_COOLING_DOWN and rest is not None and _is_to_fix(rest.why):
            found.append(f'agentbroker pool pause {refusal.pool} --reason "{rest.why}" --for 1h')
    return [*found, *(f"agentbroker explain pool {refusal.pool}" for refusal in refusals)]


def _is_to_fix(why: Reason | None) -> bool:
    """Whether time alone does not mend it."""
    return why is not None and why not in _CAPACITY and REASONS[why].fix_by[:1] in {(Fixer.ADMIN,), (Fixer.DEV,)}


def _held(name: PoolName, snapshot: Snapshot) -> str:
    cap = snapshot.definitions.pools[name].limits.agents
    total = count(a for a in snapshot.agents if a.pool == name).total
    return f"{total} of {cap}" if cap is not None else f"{total}"


def _reason(lever: Lever) -> Reason:
    return Reason.POOL_PAUSED if lever.kind is LeverKind.PAUSE else Reason.POOL_DRAINING


def _until(until: datetime | None, now: datetime) -> str:
    if until is None or until <= now:
        return "one agent tries it now"
    return f"{short(until - now)} more"
