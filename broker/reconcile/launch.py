"""Launching: the call that makes an instance, with the token that was saved before it."""

import asyncio
from dataclasses import replace

from broker.domain.agent import Agent
from broker.domain.ids import InstanceRef
from broker.domain.lifecycle import Goal, Phase
from broker.domain.pool import Direct
from broker.domain.reason import Reason
from broker.errors import BackendError, Conflict, OutcomeUnknown, Throttled
from broker.ports import LaunchSpec
from broker.reconcile.attempt import fail_attempt, words
from broker.reconcile.connect import direct_url, greet_session
from broker.reconcile.context import Again, Context

_CALL_TIMEOUT_S = 30.0
_REPLAY_S = 2.0


async def launch(ctx: Context, agent: Agent) -> Again | None:
    """Launches the attempt; a repeat of the call with the same token is the same instance."""
    first = agent.launch_key.token in ctx.uncalled
    ctx.uncalled.discard(agent.launch_key.token)
    if agent.goal != Goal.ONLINE:
        await ctx.move(agent, Phase.TERMINATING, "terminating")
        return None
    if await greet_session(ctx, agent):
        return None
    answer = await _call(ctx, agent)
    if isinstance(answer, Throttled | OutcomeUnknown):
        return await _wait_or_give_up(ctx, agent, answer)
    if isinstance(answer, BackendError):
        await fail_attempt(ctx, agent, answer.reason, words(answer), nothing_made=first)
        return None
    try:
        ctx.metrics.launch_finished(agent.pool or "", "succeeded")
        launched = await ctx.agents.record_instance(agent.id, agent.launch_key.token, answer)
    except Conflict:
        return Again(0.0)  # the attempt is over: the next look ends what this call has made
    if not await greet_session(ctx, launched) and launched.phase == Phase.LAUNCHING:
        await ctx.move(launched, Phase.BOOTING, "booting")
    return None


async def _wait_or_give_up(ctx: Context, agent: Agent, answer: BackendError) -> Again | None:
    """Nobody knows whether an instance was made: the same call again, until the time for it is over.

    A backend that waits for the controller is given as long as the controller is away.
    """
    waits = answer.reason == Reason.CONTROLLER_UNREACHABLE and ctx.presence.away(agent.controller)
    if not ctx.deadline_passed(agent) or waits:
        await ctx.note(agent, answer.reason, words(answer))
        return Again(_REPLAY_S)
    reason = answer.reason if answer.reason == Reason.CONTROLLER_UNREACHABLE else Reason.LAUNCH_TIMEOUT
    limit = ctx.definitions.timeouts_of(agent.policy).launch
    await fail_attempt(ctx, agent, reason, f"not launched within {limit}: {words(answer)}", nothing_made=False)
    return None


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
