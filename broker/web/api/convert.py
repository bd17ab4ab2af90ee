"""From what the views say to what the API says."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from broker.domain.agent import Agent
from broker.domain.ids import ControllerName, PoolName
from broker.domain.lifecycle import PENDING, Phase
from broker.domain.limits import Lever, LeverKind, Rest, Scope
from broker.domain.placement import Rejection
from broker.domain.policy import AgentLimits, Policy
from broker.domain.reason import Reason
from broker.domain.timed_override import TimedOverride
from broker.domain.versions import too_far_apart
from broker.store.history import Event
from broker.version import VERSION
from broker.views import life
from broker.views.explain import Explanation, Line
from broker.views.snapshot import Snapshot, count
from broker.views.words import Words, lever_words
from broker.web.api import models as api
from broker.web.api import models_fleet as fleet


def to_agent(agent: Agent, snapshot: Snapshot, words: Words) -> api.Agent:
    """One row of the list."""
    return api.Agent(**_agent_fields(agent, snapshot, words))  # type: ignore[arg-type] # the model checks its fields


def to_detail(agent: Agent, events: Sequence[Event], snapshot: Snapshot, words: Words) -> api.AgentDetail:
    """An agent with its life."""
    refusals = snapshot.refusals_of(agent) if snapshot.position(agent) else life.not_chosen(agent, events)
    attempts = [
        api.Attempt(
            number=a.number,
            pool=a.pool,
            started_at=a.started_at,
            online_at=a.online_at,
            ended_at=a.ended_at,
            reason=a.reason,
            message=words.message(a.reason, a.message),
        )
        for a in life.attempts(events)
    ]
    timeline = [_step(step, words) for step in life.steps(events, snapshot.now)]
    return api.AgentDetail(
        **_agent_fields(agent, snapshot, words),  # type: ignore[arg-type] # as above
        attempts=tuple(attempts),
        not_chosen=tuple(_not_chosen(r, words) for r in refusals),
        timeline=tuple(timeline),
    )


def _step(step: life.Step, words: Words) -> api.TimelineStep:
    placed = life.placement(step.event)
    return api.TimelineStep(
        **_event_fields(step.event, words),  # type: ignore[arg-type] # as above
        lasted_s=step.lasted.total_seconds() if step.lasted else None,
        chosen_because=placed.why,
        fallback_for=placed.fallback_for,
        not_chosen=tuple(_not_chosen(r, words) for r in placed.rejections),
    )


def _agent_fields(agent: Agent, snapshot: Snapshot, words: Words) -> dict[str, object]:
    age = (agent.gone_at or snapshot.now) - agent.requested_at
    return {
        "id": agent.name,
        "uid": agent.id,
        "controller": agent.controller,
        "labels": agent.label_expression,
        "policy": agent.policy,
        "job": agent.job,
        "build_url": agent.build_url,
        "cause": agent.cause,
        "phase": agent.phase,
        "goal": agent.goal,
        "pool": agent.pool if agent.phase is not Phase.REQUESTED else None,
        "attempt": agent.attempt,
        "attempts_allowed": snapshot.definitions.retry_of(agent.policy).attempts + agent.refusals,
        "reason": agent.why,
        "message": words.message(agent.why, agent.message),
        "hint": words.hint(agent.why, agent.message),
        "position": snapshot.position(agent),
        "busy": agent.busy,
        "uses": agent.uses,
        "outcome": agent.outcome,
        "launch_id": agent.launch_id,
        "requested_by": agent.requested_by,
        "created_at": agent.requested_at,
        "phase_since": agent.phase_since,
        "deadline": agent.deadline,
        "online_at": agent.online_at,
        "gone_at": agent.gone_at,
        "age_s": max(0.0, age.total_seconds()),
    }


def _not_chosen(rejection: Rejection, words: Words) -> api.NotChosen:
    told = words.rejection(rejection)
    return api.NotChosen(pool=told.pool, reason=told.reason, message=told.message)


def to_event(event: Event, words: Words) -> api.Event:
    """An event; who is not an operator sees the names of operators without the addresses they came from."""
    return api.Event(**_event_fields(event, words))  # type: ignore[arg-type] # the model checks its fields


def _event_fields(event: Event, words: Words) -> dict[str, object]:
    return {
        "number": event.number,
        "at": event.at,
        "event": event.event,
        "controller": event.controller,
        "agent": event.agent,
        "policy": event.policy,
        "phase": event.phase,
        "attempt": event.attempt,
        "pool": event.pool,
        "reason": event.why,
        "message": words.message(event.why, event.message),
        "actor": event.actor if words.raw else event.actor.partition("@")[0],
    }


def to_counts(agents: Iterable[Agent]) -> fleet.Counts:
    """How many of them there are."""
    counts = count(agents)
    phases = counts.by_phase
    return fleet.Counts(
        total=counts.total,
        busy=counts.busy,
        waiting=phases.get(Phase.REQUESTED, 0),
        starting=sum(phases.get(phase, 0) for phase in PENDING),
        launching=phases.get(Phase.LAUNCHING, 0),
        booting=phases.get(Phase.BOOTING, 0),
        connecting=phases.get(Phase.CONNECTING, 0),
        draining=phases.get(Phase.DRAINING, 0),
        online=phases.get(Phase.ONLINE, 0),
        ending=phases.get(Phase.DRAINING, 0) + phases.get(Phase.TERMINATING, 0),
        reconnecting=phases.get(Phase.RECONNECTING, 0),
        oldest_waiting_at=counts.oldest_waiting,
    )


def to_pool(name: PoolName, snapshot: Snapshot, words: Words, timed: Iterable[TimedOverride] = ()) -> fleet.Pool:
    """A pool as it stands; `timed` are the keys that operators have set, of this pool and of others."""
    definitions, lever = snapshot.definitions, snapshot.lever_of(name)
    pool, rest = definitions.pools[name], snapshot.resting(name)
    standing = _standing(lever, rest, words)
    caps = {
        Scope.POOL_AGENTS: pool.limits.agents,
        Scope.POOL_PENDING: pool.limits.pending,
        Scope.POOL_CPU_MILLI: pool.limits.cpu_milli,
        Scope.POOL_MEMORY_MIB: pool.limits.memory_mib,
    }
    return fleet.Pool(
        id=name,
        backend=pool.backend,
        type=definitions.backends[pool.backend].type,
        state=snapshot.state_of(name).value,
        reason=standing[0],
        message=standing[1],
        until=standing[2],
        limits=_limits(caps, name, snapshot),
        agents=to_counts(_in_pool(name, snapshot)),
        policies=tuple(p.name for p in definitions.policies.values() if name in p.chain),
        lever=_to_lever(lever) if lever else None,
        overrides=to_overrides(name, timed),
    )


def _standing(lever: Lever | None, rest: Rest | None, words: Words) -> tuple[Reason | None, str, datetime | None]:
    """Why a pool is not ready, in words, and until when."""
    if lever is not None:
        reason = Reason.POOL_PAUSED if lever.kind is LeverKind.PAUSE else Reason.POOL_DRAINING
        return reason, lever_words(lever), lever.until
    if rest is not None:
        why = rest.why or Reason.BACKEND_ERROR
        return why, words.message(rest.why, rest.message), rest.until
    return None, "", None


def _to_lever(lever: Lever) -> fleet.Lever:
    return fleet.Lever(
        kind=lever.kind.value, actor=lever.actor, reason=lever.reason, since=lever.since, until=lever.until
    )


def to_overrides(name: PoolName, timed: Iterable[TimedOverride]) -> tuple[fleet.TimedOverride, ...]:
    """The keys of one pool that are set for a time."""
    return tuple(
        fleet.TimedOverride(
            key=one.key, value=one.value, actor=one.actor, reason=one.reason, since=one.since, until=one.until
        )
        for one in timed
        if one.pool == name
    )


def _in_pool(name: PoolName, snapshot: Snapshot) -> Iterable[Agent]:
    return (a for a in snapshot.agents if a.pool == name and a.phase is not Phase.REQUESTED)


def _limits(caps: Mapping[Scope, int | None], key: str, snapshot: Snapshot) -> tuple[fleet.Limit, ...]:
    return tuple(
        fleet.Limit(name=scope.partition("_")[2], used=snapshot.used.get((scope, key), 0), cap=cap)  # type: ignore[arg-type] # scopes end so
        for scope, cap in caps.items()
    )


def to_policy(policy: Policy, snapshot: Snapshot, words: Words) -> fleet.Policy:
    """A policy, and how each of its pools stands."""
    refused = {r.pool: words.rejection(r) for r in snapshot.refusals(policy)}
    pools = []
    for pool in policy.chain:
        refusal = refused.get(pool)
        message = refusal.message if refusal else ""
        pools.append(fleet.PolicyPool(pool=pool, reason=refusal.reason if refusal else None, message=message))
    caps = {Scope.POLICY_AGENTS: policy.limits.agents, Scope.POLICY_PENDING: policy.limits.pending}
    return fleet.Policy(
        id=policy.name,
        labels=policy.labels,
        accept_unlabelled=policy.accept_unlabelled,
        priority=policy.priority,
        controllers=policy.controllers,
        template=policy.template,
        strategy=policy.strategy,
        pools=tuple(pools),
        limits=_limits(caps, policy.name, snapshot),
        agents=to_counts(a for a in snapshot.agents if a.policy == policy.name),
        warm=snapshot.warm[policy.name][0],
        warm_wanted=snapshot.warm[policy.name][1],
    )


def to_controller(name: ControllerName, snapshot: Snapshot) -> fleet.Controller:
    """A controller and its link."""
    controller, heard = snapshot.definitions.controllers[name], snapshot.heard.get(name)
    limits = controller.limits
    caps = {Scope.CONTROLLER_AGENTS: limits.agents, Scope.CONTROLLER_PENDING: limits.pending}
    return fleet.Controller(
        id=name,
        url=controller.url,
        link="never" if heard is None else "away" if heard.away else "connected" if heard.synced else "syncing",
        connected_since=heard.connected_since if heard and not heard.away else None,
        last_heard_at=heard.last_heard_at if heard else None,
        version=heard.client_version if heard else "",
        remark=too_far_apart(VERSION, heard.client_version) if heard else "",
        policies=tuple(p.name for p in snapshot.definitions.policies_of(name)),
        limits=_limits(caps, name, snapshot),
        agents=to_counts(a for a in snapshot.agents if a.controller == name),
    )


def cost_per_hour(snapshot: Snapshot) -> float | None:
    """What the agents that cost something cost an hour, in the base currency; None where no pool has a price."""
    if not any(pool.cost for pool in snapshot.definitions.pools.values()):
        return None
    rates = [a.rate for a in snapshot.agents if a.rate is not None and a.phase is not Phase.REQUESTED]
    return sum(rates) / 1_000_000


def broker_limits(snapshot: Snapshot) -> tuple[fleet.Limit, ...]:
    """The limits of the whole broker."""
    limits: AgentLimits = snapshot.definitions.limits
    return _limits({Scope.BROKER_AGENTS: limits.agents, Scope.BROKER_PENDING: limits.pending}, "", snapshot)


def _to_line(line: Line) -> api.ExplanationLine:
    return api.ExplanationLine(name=line.name, state=line.state, text=line.text, reason=line.reason)


def to_explanation(found: Explanation, detail: api.AgentDetail | None) -> api.Explanation:
    """An answer; `detail` is the agent's, if it is about one."""
    return api.Explanation(
        about=found.about,  # type: ignore[arg-type] # one of the nouns
        id=found.name,
        summary=found.summary,
        reason=found.reason,
        hint=found.hint,
        lines=tuple(_to_line(line) for line in found.lines),
        commands=found.commands,
        agent=detail,
    )
