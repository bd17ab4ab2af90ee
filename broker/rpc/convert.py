"""Messages to our own values and back: the one place that knows both."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from broker.domain.agent import Agent
from broker.domain.asked import Answer, Asked
from broker.domain.definitions import Definitions
from broker.domain.hand_launch import Wish
from broker.domain.ids import AgentName, BootId
from broker.domain.labels import LONGEST
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.overrides import CPU, IMAGE, KEYS, MEMORY, OverrideError, of_label
from broker.domain.policy import Policy
from broker.domain.reason import Reason
from broker.domain.template import Retention, Template
from broker.errors import BrokerError
from broker.intake import Kept, Release, Told, Truth
from broker.reconcile.presence import NodeReport
from broker.reconcile.wanted import queued_by_policy
from broker.wire.v1 import agents_pb2 as wire

MOST_AGENTS_A_CALL: Final = 1_000
MOST_NODES_A_SYNC: Final = 10_000
MOST_UNMATCHED: Final = 100
MOST_USES: Final = 2**31 - 1
"""What every store can count to; more builds have not been run."""
LONGEST_PREFIX: Final = 24
LONGEST_VERSION: Final = 64
LONGEST_LINE: Final = 300
LONGEST_WAIT: Final = timedelta(days=30)

_WIRE_CAUSES: Final[Mapping[str, wire.Cause]] = {
    "queue": wire.CAUSE_QUEUE,
    "warm": wire.CAUSE_WARM,
    "manual": wire.CAUSE_MANUAL,
}
_CAUSES: Final[Mapping[int, str]] = {cause: word for word, cause in _WIRE_CAUSES.items()}
_URL: Final = re.compile(r"https?://[!-~]{1,1900}", re.ASCII)
_LONGEST_CAUSE: Final = 300
"""Characters of an offline cause, as our files in Jenkins cut it."""
_RELEASES: Final[Mapping[int, tuple[Outcome, Reason]]] = {
    wire.RELEASE_CAUSE_COMPLETED: (Outcome.SUCCEEDED, Reason.COMPLETED),
    wire.RELEASE_CAUSE_IDLE: (Outcome.SUCCEEDED, Reason.IDLE_TIMEOUT),
    wire.RELEASE_CAUSE_MAX_LIFETIME: (Outcome.SUCCEEDED, Reason.MAX_LIFETIME),
    wire.RELEASE_CAUSE_CANCELLED: (Outcome.CANCELLED, Reason.CANCELLED),
}


class InvalidMessage(BrokerError):
    """The message names field, value and what is allowed."""


class OtherVersion(BrokerError):
    """The caller speaks an API version that this broker does not; the message says which it does, and the fix."""


def boot_id(text: str) -> BootId:
    """The boot id of any request: 1 to 64 characters."""
    if not 1 <= len(text) <= 64:
        raise InvalidMessage(f"boot_id has {len(text)} characters; it must have 1 to 64")
    return BootId(text)


def asked_agents(request: wire.RequestAgentsRequest) -> list[Asked]:
    """The agents of a request."""
    _bound("agents", len(request.agents), MOST_AGENTS_A_CALL)
    return [
        Asked(
            name=a.name,
            policy=a.policy,
            secret=a.secret,
            label_expression=a.label_expression,
            job=a.job,
            build_url=a.build_url,
            cause=_CAUSES.get(a.cause, "queue"),
            launch_id=a.launch_id,
            requested_by=a.requested_by,
            waited=_waited(request, a),
            overrides=_overrides(a),
        )
        for a in request.agents
    ]


def _waited(request: wire.RequestAgentsRequest, agent: wire.AgentRequest) -> timedelta | None:
    """None where the controller does not say, or says what cannot be."""
    if not request.HasField("sent_at") or agent.queued_at.seconds <= 0:
        return None
    waited = timedelta(seconds=request.sent_at.seconds - agent.queued_at.seconds)
    return waited if timedelta() <= waited <= LONGEST_WAIT else None


def _overrides(agent: wire.AgentRequest) -> dict[str, str] | None:
    """As the build wrote them; None from a client that knows of none."""
    if not agent.HasField("overrides"):
        return None
    told = agent.overrides
    return {IMAGE: told.image, CPU: told.cpu, MEMORY: told.memory}


def agent_answers(answers: Iterable[Answer]) -> wire.RequestAgentsReply:
    """One answer an asked agent."""
    return wire.RequestAgentsReply(
        answers=[
            wire.AgentAnswer(name=a.name, accepted=a.reason is None, reason=a.reason or "", message=a.message)
            for a in answers
        ],
    )


def releases(request: wire.ReleaseAgentsRequest) -> list[Release]:
    """The agents that are given back."""
    _bound("agents", len(request.agents), MOST_AGENTS_A_CALL)
    given: list[Release] = []
    for a in request.agents:
        if a.cause not in _RELEASES:
            raise InvalidMessage(f"agents[{len(given)}].cause is {a.cause}; it must be one of 1 to 4")
        outcome, why = _RELEASES[a.cause]
        given.append(Release(name=a.name, outcome=outcome, why=why, message=a.message, uses=_uses(a.uses)))
    return given


def told(request: wire.SyncNodesRequest) -> Told:
    """The truth of a controller."""
    _bound("nodes", len(request.nodes), MOST_NODES_A_SYNC)
    _bound("pending", len(request.pending), MOST_NODES_A_SYNC)
    nodes = {
        AgentName(n.name): NodeReport(
            online=n.online,
            accepting=n.accepting,
            busy=n.busy,
            uses=_uses(n.uses),
            offline_cause=" ".join(n.offline_cause[:_LONGEST_CAUSE].split()),
            build_url=n.current_build if _URL.fullmatch(n.current_build) else "",
        )
        for n in request.nodes
    }
    return Told(
        boot_id=boot_id(request.boot_id),
        nodes=nodes,
        pending=[AgentName(n) for n in request.pending],
        queued=queued_by_policy([(depth.policy, depth.length) for depth in request.queue]),
        unmatched={u.label_expression[:LONGEST]: min(u.fresh, MOST_USES) for u in request.unmatched[:MOST_UNMATCHED]},
    )


def truth(found: Truth, definitions: Definitions) -> wire.SyncNodesReply:
    """The truth of the broker."""
    return wire.SyncNodesReply(
        agents=[_agent_state(kept, definitions) for kept in found.kept],
        unknown=found.unknown,
        remove=[_removal(agent, definitions) for agent in found.removed],
        wanted=[_wanted(wish) for wish in found.wishes],
        policies_revision=found.revision,
    )


def policy_set(policies: Sequence[Policy], definitions: Definitions) -> wire.PolicySet:
    """The policies that a controller may use."""
    return wire.PolicySet(
        revision=definitions.revision,
        policies=[_policy(p, definitions.templates[p.template]) for p in policies],
    )


def timestamp(value: datetime) -> Timestamp:
    """A moment as the API has it."""
    moment = Timestamp()
    moment.FromDatetime(value)
    return moment


def duration(value: timedelta) -> Duration:
    """A protobuf duration."""
    message = Duration()
    message.FromTimedelta(value)
    return message


def _policy(policy: Policy, template: Template) -> wire.Policy:
    return wire.Policy(
        name=policy.name,
        labels=policy.labels,
        accept_unlabelled=policy.accept_unlabelled,
        priority=policy.priority,
        name_prefix=(policy.name_prefix or policy.name)[:LONGEST_PREFIX],
        executors=template.executors,
        remote_fs=template.remote_fs or ".",
        own_directory=template.unique_remote_fs,
        retention=_retention(template.retention),
        per_job=policy.per_job or 0,
        overrides=wire.OverrideRules(allow=[key for key in KEYS if key in policy.overrides.allow]),
    )


def _phase_as_told(agent: Agent) -> Phase:
    """Jenkins gives no build to an agent that drains: not while it has lost its session either."""
    drains = agent.goal == Goal.DRAINED and agent.phase == Phase.RECONNECTING
    return Phase.DRAINING if drains else agent.phase


def _agent_state(kept: Kept, definitions: Definitions) -> wire.AgentState:
    agent, policy = kept.agent, definitions.policies.get(kept.agent.policy)
    template = definitions.templates[policy.template] if policy else None
    requested = Timestamp()
    requested.FromDatetime(agent.requested_at)
    return wire.AgentState(
        name=agent.name,
        policy=agent.policy,
        phase=_phase_as_told(agent),
        takes_builds=kept.takes_builds,
        uses=agent.uses,
        why=one_line(kept.why),
        labels=definitions.labels_of(agent.controller, agent.policy),
        executors=template.executors if template else 1,
        remote_fs=(template.root_of(agent.name) if template else "") or ".",
        retention=_retention(template.retention if template else Retention()),
        requested_at=requested,
        cause=_WIRE_CAUSES.get(agent.cause, wire.Cause.CAUSE_QUEUE),
        waits_for_room=agent.phase == Phase.REQUESTED and agent.stalled,
        keep_warm=kept.keep_warm,
        override_labels=_override_labels(agent),
        job=agent.job,
    )


def _override_labels(agent: Agent) -> tuple[str, ...]:
    try:
        return of_label(agent.label_expression)[1]
    except OverrideError:  # a row of a version that knew of none
        return ()


def _wanted(wish: Wish) -> wire.Wanted:
    cause = wire.CAUSE_MANUAL if wish.launch_id else wire.CAUSE_WARM
    return wire.Wanted(policy=wish.policy, count=wish.count, cause=cause, launch_id=wish.launch_id or "")


def _removal(agent: Agent, definitions: Definitions) -> wire.NodeRemoval:
    why, cancel = agent.why or Reason.COMPLETED, definitions.gives_up_build(agent)
    return wire.NodeRemoval(name=agent.name, reason=why, message=one_line(agent.message or why), cancel_build=cancel)


def one_line(text: str) -> str:
    """The first line, cut: a sync tells of thousands of agents, and the last words of each are in the broker."""
    first = text.partition("\n")[0]
    return first if len(first) <= LONGEST_LINE else first[: LONGEST_LINE - 1] + "…"


def _retention(retention: Retention) -> wire.Retention:
    return wire.Retention(
        max_uses=retention.max_uses,
        idle_timeout=duration(retention.idle_timeout),
        max_lifetime=duration(retention.max_lifetime),
    )


def _uses(told: int) -> int:
    return min(told, MOST_USES)


def _bound(field: str, count: int, most: int) -> None:
    if count > most:
        raise InvalidMessage(f"{field} has {count} entries; one call may have at most {most}")
