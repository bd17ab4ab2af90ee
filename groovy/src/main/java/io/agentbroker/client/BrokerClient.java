package io.agentbroker.client;

import io.agentbroker.wire.v1.AgentsGrpc;
import io.agentbroker.wire.v1.DescribeFleetRequest;
import io.agentbroker.wire.v1.HandshakeReply;
import io.agentbroker.wire.v1.HandshakeRequest;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;

/**
 * One connection to a broker, in plain Java types: what scripts call instead of gRPC.
 *
 * <p>Messages are maps with the field names of {@code agents.proto}; enum values are their names, durations and ages
 * are seconds ({@code double}), times are milliseconds since 1970. Keys that are missing in a request are left out of
 * the message; replies hold every field. Any thread may call; every call but a stream ends within the deadline given at
 * connect, and throws {@link BrokerException} when it fails. Nothing is repeated here: all calls are idempotent, the caller
 * repeats.
 */
public final class BrokerClient implements AutoCloseable {
    /** The version of this side, told to the broker. */
    public static final String VERSION = "0.1.0";

    private static final int API_VERSION = 1;

    private final ManagedChannel channel;
    private final AgentsGrpc.AgentsBlockingStub stub;
    private final AgentsGrpc.AgentsStub streams;
    private final Trouble.Way way;
    private final long deadlineMs;

    private BrokerClient(ManagedChannel channel, TokenFile token, Trouble.Way way, long deadlineMs) {
        this.channel = channel;
        this.way = way;
        this.stub = AgentsGrpc.newBlockingStub(channel).withCallCredentials(token);
        this.streams = AgentsGrpc.newStub(channel).withCallCredentials(token);
        this.deadlineMs = deadlineMs;
    }

    /**
     * Prepares a connection; nothing is sent before the first call.
     *
     * @param target HOST:PORT
     * @param tls whether to use TLS; plaintext is refused unless HOST is a loopback address
     * @param caFile path of a PEM file with the authorities to trust; null or empty for those of the JVM
     * @param certFile path of a PEM file with this side's certificate and its chain; null or empty for none
     * @param keyFile path of its key, PEM (PKCS#8, without a password)
     * @param tokenFile path of the file with the bearer token, read again for each call, so a new token needs no restart
     * @param deadlineMs how long a call may take
     * @throws IllegalArgumentException that names the setting: a file of TLS that is missing, unreadable or none of its kind
     */
    public static BrokerClient connect(
            String target, boolean tls, String caFile, String certFile, String keyFile, String tokenFile, long deadlineMs) {
        Target where = Target.parse(target);
        FrameLog.silence();
        TlsFiles files = new TlsFiles(caFile, certFile, keyFile);
        ManagedChannel channel = tls ? where.secure(files) : where.plaintext();
        Trouble.Way way = new Trouble.Way(where, tls, files, tokenFile, new AtomicBoolean());
        return new BrokerClient(channel, new TokenFile(tokenFile), way, deadlineMs);
    }

    /**
     * Returns broker_version, controller, gateway_url, agent_page, sync_interval (seconds), policies_revision, policies,
     * ahead_ms (our clock, of the broker's; 0 from one that does not tell) and left_out: what cannot be used, for people.
     * Another api_version is FAILED_PRECONDITION, whichever side finds it. Of the port for agents, which may be empty:
     * instance_identity, agent_host, agent_port, remoting_minimum_version. A broker that was away is tried now.
     */
    public Map<String, Object> handshake(
            String controllerVersion, String controllerUrl, String bootId, Map<String, Object> port) {
        HandshakeRequest request = HandshakeRequest.newBuilder()
                .setApiVersion(API_VERSION)
                .setClientVersion(VERSION)
                .setControllerVersion(controllerVersion)
                .setControllerUrl(controllerUrl == null ? "" : controllerUrl)
                .setBootId(bootId)
                .setInstanceIdentity(String.valueOf(port.getOrDefault("instance_identity", "")))
                .setAgentHost(String.valueOf(port.getOrDefault("agent_host", "")))
                .setAgentPort(((Number) port.getOrDefault("agent_port", 0)).intValue())
                .setRemotingMinimumVersion(String.valueOf(port.getOrDefault("remoting_minimum_version", "")))
                .build();
        channel.resetConnectBackoff(); // its own pauses grow to two minutes, in which calls fail without a try
        long sent = System.currentTimeMillis();
        Map<String, Object> all = new HashMap<>(call(() -> {
            HandshakeReply reply = timed().handshake(request);
            if (reply.getApiVersion() != API_VERSION) { // a broker refuses what it does not speak; one day one may not
                throw Status.FAILED_PRECONDITION
                        .withDescription("api_version %d of the broker %s is not spoken by these files %s, which speak %d"
                                .formatted(reply.getApiVersion(), reply.getBrokerVersion(), VERSION, API_VERSION)
                                + "; run: agentbroker init jenkins")
                        .asRuntimeException();
            }
            return Replies.handshake(reply);
        }));
        all.put("ahead_ms", ahead(sent, (Long) all.remove("now"), System.currentTimeMillis()));
        return Map.copyOf(all);
    }

    /**
     * Asks for agents (name, policy, secret, label_expression, job, build_url, cause, queued_at, launch_id, requested_by):
     * one answer each.
     */
    public List<Map<String, Object>> requestAgents(String bootId, List<Map<String, Object>> agents) {
        Set<String> asked = agents.stream().map(agent -> String.valueOf(agent.get("name"))).collect(Collectors.toSet());
        return call(() -> Replies.answers(timed().requestAgents(Requests.agents(bootId, agents)), asked));
    }

    /** Ends agents (name, cause, message, uses); returns the names that the broker does not know. */
    public List<String> releaseAgents(String bootId, List<Map<String, Object>> agents) {
        Set<String> asked = agents.stream().map(agent -> String.valueOf(agent.get("name"))).collect(Collectors.toSet());
        return call(() -> timed().releaseAgents(Requests.releases(bootId, agents)).getUnknownList().stream()
                .filter(asked::contains)
                .toList());
    }

    /** Tells nodes, queue and pending names; returns agents, unknown, remove, wanted, policies_revision, left_out. */
    public Map<String, Object> syncNodes(
            String bootId, List<Map<String, Object>> nodes, List<Map<String, Object>> queue, List<String> pending,
            List<Map<String, Object>> unmatched) {
        Set<String> asked = new HashSet<>(pending);
        nodes.forEach(node -> asked.add(String.valueOf(node.get("name"))));
        return call(() -> Replies.sync(timed().syncNodes(Requests.sync(bootId, nodes, queue, pending, unmatched)), asked));
    }

    /** Pools, policies and failures as people want to see them, within {@code deadlineMs}: a page waits for it. */
    public Map<String, Object> describeFleet(long deadlineMs) {
        return call(() -> Replies.fleet(stub.withDeadlineAfter(deadlineMs, TimeUnit.MILLISECONDS)
                .describeFleet(DescribeFleetRequest.getDefaultInstance())));
    }

    /** A stream of what happens to the agents, from the number of its last heartbeat on; 0 for all that now live. */
    public AgentWatch watchAgents(String bootId, long after) {
        return new AgentWatch(streams, way, bootId, after);
    }

    /** Ends the connection; calls that still run fail. */
    @Override
    public void close() {
        channel.shutdownNow();
    }

    /** How far our clock is ahead of the broker's, as far as this is sure: the call itself took some time. */
    private static long ahead(long sent, long theirs, long received) {
        return theirs == 0 ? 0 : theirs < sent ? sent - theirs : Math.min(0, received - theirs);
    }

    private AgentsGrpc.AgentsBlockingStub timed() {
        return stub.withDeadlineAfter(deadlineMs, TimeUnit.MILLISECONDS);
    }

    private <T> T call(java.util.function.Supplier<T> rpc) {
        try {
            T reply = rpc.get();
            way.answered().set(true);
            return reply;
        } catch (StatusRuntimeException error) {
            throw BrokerException.from(error.getStatus(), way);
        }
    }
}
