package io.agentbroker.client;

import com.google.protobuf.Duration;
import com.google.protobuf.Timestamp;
import io.agentbroker.wire.v1.AgentEvent;
import io.agentbroker.wire.v1.AgentState;
import io.agentbroker.wire.v1.DescribeFleetReply;
import io.agentbroker.wire.v1.Failure;
import io.agentbroker.wire.v1.HandshakeReply;
import io.agentbroker.wire.v1.Policy;
import io.agentbroker.wire.v1.PolicyState;
import io.agentbroker.wire.v1.PoolState;
import io.agentbroker.wire.v1.RequestAgentsReply;
import io.agentbroker.wire.v1.Retention;
import io.agentbroker.wire.v1.SyncNodesReply;
import io.agentbroker.wire.v1.WatchAgentsReply;
import java.util.List;
import java.util.Map;

/** Maps made of messages. */
final class Replies {
    private Replies() {}

    static Map<String, Object> handshake(HandshakeReply reply) {
        return Map.of(
                "api_version", reply.getApiVersion(),
                "broker_version", reply.getBrokerVersion(),
                "controller", reply.getController(),
                "policies_revision", reply.getPolicies().getRevision(),
                "policies", reply.getPolicies().getPoliciesList().stream().map(Replies::policy).toList(),
                "sync_interval", seconds(reply.getSyncInterval()),
                "gateway_url", reply.getGatewayUrl(),
                "agent_page", reply.getAgentPage());
    }

    static List<Map<String, Object>> answers(RequestAgentsReply reply) {
        return reply.getAnswersList().stream()
                .map(answer -> Map.<String, Object>of(
                        "name", answer.getName(),
                        "accepted", answer.getAccepted(),
                        "reason", answer.getReason(),
                        "message", answer.getMessage()))
                .toList();
    }

    static Map<String, Object> sync(SyncNodesReply reply) {
        return Map.of(
                "agents", reply.getAgentsList().stream().map(Replies::agent).toList(),
                "unknown", List.copyOf(reply.getUnknownList()),
                "remove", reply.getRemoveList().stream()
                        .map(node -> Map.<String, Object>of(
                                "name", node.getName(),
                                "reason", node.getReason(),
                                "message", node.getMessage(),
                                "cancel_build", node.getCancelBuild()))
                        .toList(),
                "wanted", reply.getWantedList().stream()
                        .map(wanted -> Map.<String, Object>of(
                                "policy", wanted.getPolicy(),
                                "count", (long) wanted.getCount(),
                                "cause", wanted.getCause().name().replace("CAUSE_", ""),
                                "launch_id", wanted.getLaunchId()))
                        .toList(),
                "policies_revision", reply.getPoliciesRevision());
    }

    static Map<String, Object> watched(WatchAgentsReply reply) {
        return switch (reply.getWhatCase()) {
            case EVENT -> event(reply.getEvent());
            case RESYNC -> Map.of("kind", "resync", "newest", reply.getResync().getNewest());
            case HEARTBEAT -> Map.of(
                    "kind", "heartbeat",
                    "number", reply.getHeartbeat().getNumber(),
                    "interval", seconds(reply.getHeartbeat().getInterval()));
            case WHAT_NOT_SET -> Map.of("kind", ""); // of a newer broker
        };
    }

    private static Map<String, Object> event(AgentEvent event) {
        return Map.ofEntries(
                Map.entry("kind", "event"),
                Map.entry("number", event.getNumber()),
                Map.entry("agent", event.getAgent()),
                Map.entry("at", milliseconds(event.getAt())),
                Map.entry("event", event.getEvent()),
                Map.entry("phase", event.getPhase()),
                Map.entry("attempt", (long) event.getAttempt()),
                Map.entry("pool", event.getPool()),
                Map.entry("reason", event.getReason()),
                Map.entry("message", event.getMessage()),
                Map.entry("hint", event.getHint()),
                Map.entry("outcome", event.getOutcome()));
    }

    private static Map<String, Object> policy(Policy policy) {
        return Map.of(
                "name", policy.getName(),
                "labels", List.copyOf(policy.getLabelsList()),
                "accept_unlabelled", policy.getAcceptUnlabelled(),
                "priority", (long) policy.getPriority(),
                "name_prefix", policy.getNamePrefix(),
                "executors", (long) policy.getExecutors(),
                "remote_fs", policy.getRemoteFs(),
                "retention", retention(policy.getRetention()));
    }

    private static Map<String, Object> agent(AgentState agent) {
        return Map.ofEntries(
                Map.entry("name", agent.getName()),
                Map.entry("policy", agent.getPolicy()),
                Map.entry("phase", agent.getPhase()),
                Map.entry("takes_builds", agent.getTakesBuilds()),
                Map.entry("uses", (long) agent.getUses()),
                Map.entry("why", agent.getWhy()),
                Map.entry("labels", List.copyOf(agent.getLabelsList())),
                Map.entry("executors", (long) agent.getExecutors()),
                Map.entry("remote_fs", agent.getRemoteFs()),
                Map.entry("retention", retention(agent.getRetention())),
                Map.entry("requested_at", milliseconds(agent.getRequestedAt())),
                Map.entry("waits_for_room", agent.getWaitsForRoom()),
                Map.entry("keep_warm", agent.getKeepWarm()),
                Map.entry("cause", agent.getCause().name().replace("CAUSE_", "")));
    }

    static Map<String, Object> fleet(DescribeFleetReply reply) {
        return Map.of(
                "pools", reply.getPoolsList().stream().map(Replies::pool).toList(),
                "policies", reply.getPoliciesList().stream().map(Replies::policyState).toList(),
                "failures", reply.getFailuresList().stream().map(Replies::failure).toList(),
                "page_url", reply.getPageUrl());
    }

    private static Map<String, Object> pool(PoolState pool) {
        return Map.of(
                "name", pool.getName(),
                "backend", pool.getBackend(),
                "agents", (long) pool.getAgents(),
                "agents_cap", (long) pool.getAgentsCap(),
                "starting", (long) pool.getStarting(),
                "starting_cap", (long) pool.getStartingCap(),
                "state", pool.getState(),
                "why", pool.getWhy());
    }

    private static Map<String, Object> policyState(PolicyState policy) {
        return Map.of(
                "name", policy.getName(),
                "labels", List.copyOf(policy.getLabelsList()),
                "pools", List.copyOf(policy.getPoolsList()),
                "agents", (long) policy.getAgents(),
                "agents_cap", (long) policy.getAgentsCap(),
                "waiting", (long) policy.getWaiting(),
                "warm", (long) policy.getWarm(),
                "warm_wanted", (long) policy.getWarmWanted(),
                "remark", policy.getRemark());
    }

    private static Map<String, Object> failure(Failure failure) {
        return Map.of(
                "at", milliseconds(failure.getAt()),
                "agent", failure.getAgent(),
                "policy", failure.getPolicy(),
                "pool", failure.getPool(),
                "reason", failure.getReason(),
                "message", failure.getMessage(),
                "hint", failure.getHint());
    }

    private static Map<String, Object> retention(Retention retention) {
        return Map.of(
                "max_uses", (long) retention.getMaxUses(),
                "idle_timeout", seconds(retention.getIdleTimeout()),
                "max_lifetime", seconds(retention.getMaxLifetime()));
    }

    private static double seconds(Duration duration) {
        return duration.getSeconds() + duration.getNanos() / 1e9;
    }

    private static long milliseconds(Timestamp time) {
        return time.getSeconds() * 1000L + time.getNanos() / 1_000_000L;
    }
}
