"""Launching: the call that makes an instance, with the token that was saved before it."""

import asyncio
from dataclasses import replace

from broker.domain.agent import Agent
from broker.domain.host import HostPhase
from broker.domain.ids import InstanceRef
from broker.domain.lifecycle import Goal, Phase
from broker.domain.offer import Offering
from broker.domain.pool import Direct, Pool
from broker.domain.reason import LACKS, Reason
from broker.errors import BackendError, Conflict, InsufficientCapacity, OutcomeUnknown, Throttled
from broker.placement.words import lever as say_lever
from broker.ports import LaunchSpec
from broker.reconcile.attempt import fail_attempt, next_attempt, offering_of, words
from broker.reconcile.bulkhead import Answer
from broker.reconcile.connect import direct_url, greet_session
from broker.reconcile.context import Again, Context
from broker.reconcile.hosts.agents import begin, has_host, host_of, is_silent, is_up, note_launch, wait_for_host

_CALL_TIMEOUT_S = 30.0
_NO_ANSWER = "launches in pool {} get no answer"
_REPLAY_S, _LONGEST_REPLAY_S = 2.0, 10.0
_REPLAY_SHARE = 0.25
_IN_LINE_S = 2.0
"""Who stands in line is told when there is a place; this is how soon it sees that there will be none."""


async def launch(ctx: Context, agent: Agent) -> Again | None:
    """Launches the attempt; a repeat of the call with the same token is the same instance."""
    first = agent.launch_key.token in ctx.uncalled
    if agent.goal != Goal.ONLINE:
        ctx.uncalled.discard(agent.launch_key.token)
        await ctx.move(agent, Phase.TERMINATING, "terminating")
        return None
    if await greet_session(ctx, agent):
        return None
    pool = ctx.pool_of(agent)
    if pool is not None and has_host(ctx, agent):
        host = await host_of(ctx, agent)
        if host is None or not is_up(host):
            return await wait_for_host(ctx, agent, host, first=first)
        if host.phase is HostPhase.DRAINING and first:
            await _hand_back(ctx, agent, f"host {host.id} takes no agent any more: {host.message}")
            return None
        agent = await begin(ctx, agent)
    if pool is not None and first and (shut := _why_shut(ctx, agent, pool)):
        await _hand_back(ctx, agent, shut)
        return None
    if pool is not None and not ctx.bulkhead.enter(agent.id, pool, ctx.clock.monotonic(), again=not first):
        return await _stand_in_line(ctx, agent, pool, first=first)
    ctx.uncalled.discard(agent.launch_key.token)
    meant = Answer.NO_WORD
    try:
        answer = await _call(ctx, agent)
        meant = _meaning(ctx, agent, answer)
        if has_host(ctx, agent):
            note_launch(ctx, agent, answer if isinstance(answer, BackendError) else None)
        if isinstance(answer, BackendError):
            return await _heed_refusal(ctx, agent, answer, first=first)
    finally:  # after what a refusal says of the pool is written, or the next one would be called meanwhile
        for agent_id in ctx.bulkhead.leave(agent.id, meant, ctx.clock.monotonic()):
            ctx.nudge.agent(agent_id)
    return await _note_instance(ctx, agent, answer)


async def _heed_refusal(ctx: Context, agent: Agent, answer: BackendError, *, first: bool) -> Again | None:
    if isinstance(answer, Throttled | OutcomeUnknown):
        return await _wait_or_give_up(ctx, agent, answer)
    if is_silent(ctx, agent, answer) and not ctx.deadline_passed(agent):
        await ctx.note(agent, answer.reason, words(answer))
        if first:  # nothing was made: if the host ends, it goes elsewhere at no cost
            ctx.uncalled.add(agent.launch_key.token)
        return Again(_replay_s(ctx, agent))
    await fail_attempt(ctx, agent, answer.reason, words(answer), nothing_made=first)
    return None


async def _note_instance(ctx: Context, agent: Agent, instance: InstanceRef) -> Again | None:
    try:
        ctx.metrics.launch_finished(agent.pool or "", "succeeded")
        launched = await ctx.agents.record_instance(agent.id, agent.launch_key.token, instance)
    except Conflict:
        return Again(0.0)  # the attempt is over: the next look ends what this call has made
    if not await greet_session(ctx, launched) and launched.phase == Phase.LAUNCHING:
        await ctx.move(launched, Phase.BOOTING, "booting", words=str(instance))
    return None


def _why_shut(ctx: Context, agent: Agent, pool: Pool) -> str:
    """Why an attempt that nobody has called for yet is better made elsewhere, in words; empty if it is not."""
    lever = ctx.levers.get(pool.name)
    if lever is not None and (lever.until is None or lever.until > ctx.clock.now()):
        return say_lever(lever)
    of = Offering(pool.name) if has_host(ctx, agent) else offering_of(agent)  # no other host need be had
    if ctx.bulkhead.is_shut(of, ctx.clock.now()):
        where = ", ".join(part for part in (of.zone, of.type, of.capacity) if part)
        return f"launches in pool {pool.name}{f' ({where})' if where else ''} have failed since it was chosen"
    return _NO_ANSWER.format(pool.name) if ctx.bulkhead.is_stuck(pool, ctx.clock.monotonic()) else ""


async def _hand_back(ctx: Context, agent: Agent, message: str) -> None:
    """Has the agent decided again: nothing was called for this attempt, and it uses up none."""
    ctx.uncalled.discard(agent.launch_key.token)
    why, refusals = Reason.POOL_COOLING_DOWN, agent.refusals + 1
    again = next_attempt(ctx, agent, why, refusals)
    await ctx.move(agent, Phase.REQUESTED, "waiting", why=why, message=message, refusals=refusals, **again)


async def _stand_in_line(ctx: Context, agent: Agent, pool: Pool, *, first: bool) -> Again | None:
    """Waits for a place among the calls of the backend; gives up where there is none in time."""
    if not ctx.deadline_passed(agent):
        if first:
            ctx.placed[agent.id] = agent  # as fresh as before: whatever changes it takes it out
        return Again(_IN_LINE_S)
    if first:
        await _hand_back(ctx, agent, _NO_ANSWER.format(pool.name))
        return None
    ctx.bulkhead.forget(agent.id)
    return await _wait_or_give_up(ctx, agent, OutcomeUnknown("", _NO_ANSWER.format(pool.name)))


def _meaning(ctx: Context, agent: Agent, answer: InstanceRef | BackendError) -> Answer:
    if not isinstance(answer, BackendError):
        return Answer.ACCEPTED
    if is_silent(ctx, agent, answer):
        return Answer.NO_WORD  # one host is not its pool
    says_nothing = isinstance(answer, InsufficientCapacity) or answer.reason in LACKS
    says_nothing = says_nothing or answer.reason == Reason.CONTROLLER_UNREACHABLE
    return Answer.NO_WORD if says_nothing else Answer.BAD


async def _wait_or_give_up(ctx: Context, agent: Agent, answer: BackendError) -> Again | None:
    """Nobody knows whether an instance was made: the same call again, until the time for it is over.

    A backend that waits for the controller is given as long as the controller is away.
    """
    waits = answer.reason == Reason.CONTROLLER_UNREACHABLE and ctx.presence.away(agent.controller)
    if not ctx.deadline_passed(agent) or waits:
        await ctx.note(agent, answer.reason, words(answer))
        return Again(_REPLAY_S if waits else _replay_s(ctx, agent))
    reason = answer.reason if answer.reason == Reason.CONTROLLER_UNREACHABLE else Reason.LAUNCH_TIMEOUT
    limit = ctx.definitions.timeouts_of(agent.policy).launch
    await fail_attempt(ctx, agent, reason, f"not launched within {limit}: {words(answer)}", nothing_made=False)
    return None


def _replay_s(ctx: Context, agent: Agent) -> float:
    """Ever longer, and after the first ones a different time for each agent: what fails is not asked by all at once."""
    waited_s: float = (ctx.clock.now() - agent.phase_since).total_seconds() * _REPLAY_SHARE
    share: float = 0.75 + int(agent.id[:4], 16) / 0xFFFF / 4
    return max(_REPLAY_S, min(_LONGEST_REPLAY_S, waited_s) * share)


def _direct(ctx: Context, agent: Agent, spec: LaunchSpec) -> LaunchSpec:
    """Jenkins' own address and the real secret, which nobody else is given."""
    how = spec.pool.direct or Direct()
    return replace(
        spec,
        url=direct_url(ctx, agent),
        secret=ctx.keyring.unseal(agent.sealed_secret),
        websocket=how.websocket,
        tunnel=how.tunnel,
        identity=how.instance_identity,
        authorities=(),
    )


async def _call(ctx: Context, agent: Agent) -> InstanceRef | BackendError:
    pool, policy = ctx.pool_of(agent), ctx.definitions.policies.get(agent.policy)
    backend = ctx.backends.get(pool.backend) if pool else None
    if pool is None or policy is None or backend is None:
        return BackendError("", f"pool {agent.pool} or policy {agent.policy} is no longer configured")
    spec = LaunchSpec(
        key=agent.launch_key,
        name=agent.name,
        controller=agent.controller,
        pool=pool,
        template=ctx.definitions.template_of(agent),
        url=ctx.gateway_url(agent.controller),
        secret=ctx.keyring.mint(agent.id, agent.attempt),
        websocket=ctx.agents_use_websocket(),
        authorities=ctx.authorities(),
        offering=offering_of(agent) if agent.placed_at is not None else None,
        host=agent.host,
        place=ctx.place_of(agent.host) if pool.hosts is not None and agent.host else None,
        policy=agent.policy,
        job=agent.job,
        build_url=agent.build_url,
        configured=ctx.definitions.templates[policy.template].resources,
    )
    if agent.direct:
        spec = _direct(ctx, agent, spec)
    try:
        async with asyncio.timeout(_CALL_TIMEOUT_S):
            return await backend.launch(spec)
    except TimeoutError:
        return OutcomeUnknown("timeout", f"no answer within {_CALL_TIMEOUT_S} s")
    except BackendError as error:
        return error
