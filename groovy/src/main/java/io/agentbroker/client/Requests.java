package io.agentbroker.client;

import com.google.protobuf.Duration;
import com.google.protobuf.Timestamp;
import io.agentbroker.wire.v1.AgentRelease;
import io.agentbroker.wire.v1.AgentRequest;
import io.agentbroker.wire.v1.Cause;
import io.agentbroker.wire.v1.Node;
import io.agentbroker.wire.v1.Overrides;
import io.agentbroker.wire.v1.QueueDepth;
import io.agentbroker.wire.v1.ReleaseAgentsRequest;
import io.agentbroker.wire.v1.ReleaseCause;
import io.agentbroker.wire.v1.RequestAgentsRequest;
import io.agentbroker.wire.v1.SyncNodesRequest;
import io.agentbroker.wire.v1.Unmatched;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Messages made of maps. */
final class Requests {
    private Requests() {}

    static RequestAgentsRequest agents(String bootId, List<Map<String, Object>> agents) {
        RequestAgentsRequest.Builder request = RequestAgentsRequest.newBuilder()
                .setBootId(bootId)
                .setSentAt(time(System.currentTimeMillis()));
        for (Map<String, Object> agent : agents) {
            request.addAgents(AgentRequest.newBuilder()
                    .setName(text(agent, "name"))
                    .setPolicy(text(agent, "policy"))
                    .setSecret(text(agent, "secret"))
                    .setLabelExpression(text(agent, "label_expression"))
                    .setJob(text(agent, "job"))
                    .setBuildUrl(text(agent, "build_url"))
                    .setCause(Cause.valueOf("CAUSE_" + text(agent, "cause")))
                    .setQueuedAt(time(number(agent, "queued_at").longValue()))
                    .setLaunchId(text(agent, "launch_id"))
                    .setRequestedBy(text(agent, "requested_by"))
                    .setOverrides(overrides(agent)));
        }
        return request.build();
    }

    static ReleaseAgentsRequest releases(String bootId, List<Map<String, Object>> agents) {
        ReleaseAgentsRequest.Builder request = ReleaseAgentsRequest.newBuilder().setBootId(bootId);
        for (Map<String, Object> agent : agents) {
            request.addAgents(AgentRelease.newBuilder()
                    .setName(text(agent, "name"))
                    .setCause(ReleaseCause.valueOf("RELEASE_CAUSE_" + text(agent, "cause")))
                    .setMessage(text(agent, "message"))
                    .setUses(number(agent, "uses").intValue()));
        }
        return request.build();
    }

    static SyncNodesRequest sync(
            String bootId, List<Map<String, Object>> nodes, List<Map<String, Object>> queue, List<String> pending,
            List<Map<String, Object>> unmatched) {
        SyncNodesRequest.Builder request =
                SyncNodesRequest.newBuilder().setBootId(bootId).addAllPending(pending);
        for (Map<String, Object> node : nodes) {
            request.addNodes(Node.newBuilder()
                    .setName(text(node, "name"))
                    .setOnline(flag(node, "online"))
                    .setAccepting(flag(node, "accepting"))
                    .setBusy(flag(node, "busy"))
                    .setUses(number(node, "uses").intValue())
                    .setCurrentBuild(text(node, "current_build"))
                    .setOfflineCause(text(node, "offline_cause")));
        }
        for (Map<String, Object> depth : queue) {
            request.addQueue(QueueDepth.newBuilder()
                    .setPolicy(text(depth, "policy"))
                    .setLabelExpression(text(depth, "label_expression"))
                    .setLength(number(depth, "length").intValue())
                    .setOldestAge(seconds(number(depth, "oldest_age").doubleValue())));
        }
        for (Map<String, Object> label : unmatched) {
            request.addUnmatched(Unmatched.newBuilder()
                    .setLabelExpression(text(label, "label_expression"))
                    .setLength(number(label, "length").intValue())
                    .setOldestAge(seconds(number(label, "oldest_age").doubleValue()))
                    .setFresh(number(label, "fresh").intValue()));
        }
        return request.build();
    }

    /** What a build asks for itself, by the keys image, cpu and memory. */
    private static Overrides overrides(Map<String, Object> agent) {
        Map<?, ?> asked = agent.get("overrides") instanceof Map<?, ?> map ? map : Map.of();
        Map<String, Object> texts = new HashMap<>();
        asked.forEach((key, value) -> texts.put(key.toString(), value));
        return Overrides.newBuilder()
                .setImage(text(texts, "image"))
                .setCpu(text(texts, "cpu"))
                .setMemory(text(texts, "memory"))
                .build();
    }

    private static String text(Map<String, Object> map, String key) {
        Object value = map.get(key);
        return value == null ? "" : value.toString();
    }

    private static Number number(Map<String, Object> map, String key) {
        return map.get(key) instanceof Number value ? value : 0;
    }

    private static boolean flag(Map<String, Object> map, String key) {
        return Boolean.TRUE.equals(map.get(key));
    }

    private static Duration seconds(double seconds) {
        long whole = (long) Math.floor(seconds);
        return Duration.newBuilder().setSeconds(whole).setNanos((int) ((seconds - whole) * 1e9)).build();
    }

    private static Timestamp time(long milliseconds) {
        return Timestamp.newBuilder()
                .setSeconds(Math.floorDiv(milliseconds, 1000L))
                .setNanos((int) Math.floorMod(milliseconds, 1000L) * 1_000_000)
                .build();
    }
}
