package io.agentbroker.client;

import com.google.protobuf.Timestamp;
import io.agentbroker.wire.v1.AgentAnswer;
import io.agentbroker.wire.v1.AgentEvent;
import io.agentbroker.wire.v1.AgentState;
import io.agentbroker.wire.v1.DescribeFleetReply;
import io.agentbroker.wire.v1.Failure;
import io.agentbroker.wire.v1.HandshakeReply;
import io.agentbroker.wire.v1.NodeRemoval;
import io.agentbroker.wire.v1.Policy;
import io.agentbroker.wire.v1.PolicyState;
import io.agentbroker.wire.v1.PoolState;
import io.agentbroker.wire.v1.RequestAgentsReply;
import io.agentbroker.wire.v1.Retention;
import io.agentbroker.wire.v1.SyncNodesReply;
import io.agentbroker.wire.v1.Wanted;
import io.agentbroker.wire.v1.WatchAgentsReply;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Maps made of messages. */
final class Replies {
    private static final long LAST_SECOND = 253_402_300_799L;

    private Replies() {}

    static Map<String, Object> handshake(HandshakeReply reply) {
        Told told = new Told();
        List<Policy> policies = told.only(
                "policies", reply.getPolicies().getPoliciesList(), Told.MOST_POLICIES,
                policy -> Told.line(policy.getName()).equals(policy.getName()) && !policy.getName().isEmpty() ? null : "is no name",
                Policy::getName);
        return told.beside(Map.of(
                "api_version", reply.getApiVersion(),
                "broker_version", Told.line(reply.getBrokerVersion()),
                "controller", Told.line(reply.getController()),
                "policies_revision", reply.getPolicies().getRevision(),
                "policies", policies.stream().map(policy -> policy(policy, told)).toList(),
                "sync_interval", Told.seconds(reply.getSyncInterval()),
                "gateway_url", Told.url(reply.getGatewayUrl()),
                "agent_page", Told.url(reply.getAgentPage()),
                "now", reply.hasNow() ? milliseconds(reply.getNow()) : 0L));
    }

    static List<Map<String, Object>> answers(RequestAgentsReply reply, Set<String> asked) {
        return new Told().only("answers", reply.getAnswersList(), Told.MOST_AGENTS,
                        answer -> asked.contains(answer.getName()) ? null : "was not asked for", AgentAnswer::getName).stream()
                .map(answer -> Map.<String, Object>of(
                        "name", answer.getName(),
                        "accepted", answer.getAccepted(),
                        "reason", Told.code(answer.getReason()),
                        "message", Told.text(answer.getMessage())))
                .toList();
    }

    /** `asked`: the names that the broker was told of. */
    static Map<String, Object> sync(SyncNodesReply reply, Set<String> asked) {
        Told told = new Told();
        List<AgentState> agents = told.only("agents", reply.getAgentsList(), Told.MOST_AGENTS,
                agent -> Told.isAgent(agent.getName()) ? null : "is no name of an agent", AgentState::getName);
        List<NodeRemoval> removals = told.only("remove", reply.getRemoveList(), Told.MOST_AGENTS,
                node -> Told.isAgent(node.getName()) ? null : "is no name of an agent", NodeRemoval::getName);
        return told.beside(Map.of(
                "agents", agents.stream().map(agent -> agent(agent, told)).toList(),
                "unknown", told.agentNames("unknown", reply.getUnknownList(), asked),
                "remove", removals.stream()
                        .map(node -> Map.<String, Object>of(
                                "name", node.getName(),
                                "reason", Told.code(node.getReason()),
                                "message", Told.text(node.getMessage()),
                                "cancel_build", node.getCancelBuild()))
                        .toList(),
                "wanted", wanted(reply, told),
                "policies_revision", reply.getPoliciesRevision()));
    }

    private static List<Map<String, Object>> wanted(SyncNodesReply reply, Told told) {
        List<Map<String, Object>> wishes = new ArrayList<>();
        long room = Told.MOST_WANTED;
        for (Wanted wanted : reply.getWantedList()) {
            long count = Told.number(wanted.getCount(), 0, room);
            if (count < Integer.toUnsignedLong(wanted.getCount())) {
                told.leaveOut("wanted: " + Integer.toUnsignedString(wanted.getCount()) + " agents of \""
                        + Told.line(wanted.getPolicy()) + "\" are more than " + Told.MOST_WANTED + " at once");
            }
            if (count > 0) {
                room -= count;
                wishes.add(Map.of(
                        "policy", Told.line(wanted.getPolicy()),
                        "count", count,
                        "cause", wanted.getCause().name().replace("CAUSE_", ""),
                        "launch_id", Told.line(wanted.getLaunchId())));
            }
        }
        return List.copyOf(wishes);
    }

    static Map<String, Object> watched(WatchAgentsReply reply) {
        return switch (reply.getWhatCase()) {
            case EVENT -> event(reply.getEvent());
            case RESYNC -> Map.of("kind", "resync", "newest", reply.getResync().getNewest());
            case HEARTBEAT -> Map.of(
                    "kind", "heartbeat",
                    "number", reply.getHeartbeat().getNumber(),
                    "interval", Told.seconds(reply.getHeartbeat().getInterval()));
            case WHAT_NOT_SET -> Map.of("kind", ""); // of a newer broker
        };
    }

    private static Map<String, Object> event(AgentEvent event) {
        return Map.ofEntries(
                Map.entry("kind", "event"),
                Map.entry("number", event.getNumber()),
                Map.entry("agent", event.getAgent()),
                Map.entry("at", milliseconds(event.getAt())),
                Map.entry("event", Told.code(event.getEvent())),
                Map.entry("phase", Told.code(event.getPhase())),
                Map.entry("attempt", Told.number(event.getAttempt(), 0, Told.MOST_USES)),
                Map.entry("pool", Told.line(event.getPool())),
                Map.entry("reason", Told.code(event.getReason())),
                Map.entry("message", Told.text(event.getMessage())),
                Map.entry("hint", Told.line(event.getHint())),
                Map.entry("outcome", Told.code(event.getOutcome())),
                Map.entry("attempts", Told.number(event.getAttempts(), 0, Told.MOST_USES)),
                Map.entry("usual", Told.seconds(event.getUsual())),
                Map.entry("zone", Told.line(event.getZone())));
    }

    private static Map<String, Object> policy(Policy policy, Told told) {
        return Map.ofEntries(
                Map.entry("name", policy.getName()),
                Map.entry("labels", told.labels(policy.getLabelsList())),
                Map.entry("accept_unlabelled", policy.getAcceptUnlabelled()),
                Map.entry("priority", (long) policy.getPriority()),
                Map.entry("name_prefix", Told.prefix(policy.getNamePrefix(), policy.getName())),
                Map.entry("executors", Told.number(policy.getExecutors(), 1, Told.MOST_EXECUTORS)),
                Map.entry("remote_fs", Told.remoteFs(policy.getRemoteFs())),
                Map.entry("retention", retention(policy.getRetention())),
                Map.entry("overrides", policy.getOverrides().getAllowList().stream().limit(Told.MOST_POLICIES).map(Told::code).toList()),
                Map.entry("per_job", count(policy.getPerJob())));
    }

    private static Map<String, Object> agent(AgentState agent, Told told) {
        return Map.ofEntries(
                Map.entry("name", agent.getName()),
                Map.entry("policy", Told.line(agent.getPolicy())),
                Map.entry("phase", Told.code(agent.getPhase())),
                Map.entry("takes_builds", agent.getTakesBuilds()),
                Map.entry("uses", Told.number(agent.getUses(), 0, Told.MOST_USES)),
                Map.entry("why", Told.line(agent.getWhy())),
                Map.entry("labels", told.labels(agent.getLabelsList())),
                Map.entry("executors", Told.number(agent.getExecutors(), 1, Told.MOST_EXECUTORS)),
                Map.entry("remote_fs", Told.remoteFs(agent.getRemoteFs())),
                Map.entry("retention", retention(agent.getRetention())),
                Map.entry("requested_at", milliseconds(agent.getRequestedAt())),
                Map.entry("waits_for_room", agent.getWaitsForRoom()),
                Map.entry("keep_warm", agent.getKeepWarm()),
                Map.entry("cause", agent.getCause().name().replace("CAUSE_", "")),
                Map.entry("override_labels", told.labels(agent.getOverrideLabelsList())),
                Map.entry("job", Told.line(agent.getJob())));
    }

    static Map<String, Object> fleet(DescribeFleetReply reply) {
        return Map.of(
                "pools", reply.getPoolsList().stream().limit(Told.MOST_POLICIES).map(Replies::pool).toList(),
                "policies", reply.getPoliciesList().stream().limit(Told.MOST_POLICIES).map(Replies::policyState).toList(),
                "failures", reply.getFailuresList().stream().limit(Told.MOST_FAILURES).map(Replies::failure).toList(),
                "page_url", Told.url(reply.getPageUrl()));
    }

    private static Map<String, Object> pool(PoolState pool) {
        return Map.ofEntries(
                Map.entry("name", Told.line(pool.getName())),
                Map.entry("backend", Told.line(pool.getBackend())),
                Map.entry("agents", count(pool.getAgents())),
                Map.entry("agents_cap", count(pool.getAgentsCap())),
                Map.entry("starting", count(pool.getStarting())),
                Map.entry("starting_cap", count(pool.getStartingCap())),
                Map.entry("state", Told.line(pool.getState())),
                Map.entry("why", Told.line(pool.getWhy())),
                Map.entry("until", pool.hasUntil() ? milliseconds(pool.getUntil()) : 0L),
                Map.entry("by", Told.line(pool.getBy())));
    }

    private static Map<String, Object> policyState(PolicyState policy) {
        return Map.ofEntries(
                Map.entry("name", Told.line(policy.getName())),
                Map.entry("labels", policy.getLabelsList().stream().limit(Told.MOST_LABELS).map(Told::line).toList()),
                Map.entry("pools", policy.getPoolsList().stream().limit(Told.MOST_LABELS).map(Told::line).toList()),
                Map.entry("agents", count(policy.getAgents())),
                Map.entry("agents_cap", count(policy.getAgentsCap())),
                Map.entry("waiting", count(policy.getWaiting())),
                Map.entry("warm", count(policy.getWarm())),
                Map.entry("warm_wanted", count(policy.getWarmWanted())),
                Map.entry("remark", Told.line(policy.getRemark())),
                Map.entry("budget", Told.line(policy.getBudget())));
    }

    private static Map<String, Object> failure(Failure failure) {
        return Map.of(
                "at", milliseconds(failure.getAt()),
                "agent", Told.line(failure.getAgent()),
                "policy", Told.line(failure.getPolicy()),
                "pool", Told.line(failure.getPool()),
                "reason", Told.code(failure.getReason()),
                "message", Told.line(failure.getMessage()),
                "hint", Told.line(failure.getHint()));
    }

    private static long count(int unsigned) {
        return Told.number(unsigned, 0, Told.MOST_USES);
    }

    private static Map<String, Object> retention(Retention retention) {
        return Map.of(
                "max_uses", count(retention.getMaxUses()),
                "idle_timeout", Told.seconds(retention.getIdleTimeout()),
                "max_lifetime", Told.seconds(retention.getMaxLifetime()));
    }

    /** Of a moment between the years 1970 and 9999, the nearest. */
    private static long milliseconds(Timestamp time) {
        return Math.max(0L, Math.min(LAST_SECOND, time.getSeconds())) * 1000L + Math.max(0, time.getNanos()) / 1_000_000L;
    }
}
