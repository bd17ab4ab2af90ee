package io.agentbroker.client;

import io.agentbroker.wire.v1.AgentsGrpc;
import io.agentbroker.wire.v1.WatchAgentsReply;
import io.agentbroker.wire.v1.WatchAgentsRequest;
import io.grpc.Status;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * A stream of what happens to this controller's agents. One thread reads; any thread may close it. The next message is
 * asked for when one has been taken, so a slow reader keeps nothing in memory.
 */
public final class AgentWatch implements AutoCloseable {
    private static final Object END = new Object();

    /** One message at most, and after it the end: END, or a Status. */
    private final BlockingQueue<Object> arrived = new LinkedBlockingQueue<>();

    private final Trouble.Way way;
    private volatile ClientCallStreamObserver<WatchAgentsRequest> call;

    AgentWatch(AgentsGrpc.AgentsStub stub, Trouble.Way way, String bootId, long after) {
        this.way = way;
        stub.watchAgents(
                WatchAgentsRequest.newBuilder().setBootId(bootId).setAfter(after).build(), new Receiver());
    }

    /**
     * The next message, with {@code kind} beside the fields of agents.proto: event, resync or heartbeat. Null when the
     * broker has ended the stream in good order.
     *
     * @param silenceMs how long the broker may say nothing; after that the stream is dead
     * @throws BrokerException when the stream has failed, or was silent for so long (UNAVAILABLE)
     */
    public Map<String, Object> next(long silenceMs) throws InterruptedException {
        Object next = arrived.poll(silenceMs, TimeUnit.MILLISECONDS);
        if (next == null) {
            close();
            throw BrokerException.from(
                    Status.UNAVAILABLE.withDescription("nothing was heard for " + silenceMs + " ms"), way);
        }
        if (next == END) {
            return null;
        }
        if (next instanceof Status status) {
            throw BrokerException.from(status, way);
        }
        call.request(1);
        return Replies.watched((WatchAgentsReply) next);
    }

    /** Ends the stream; a reader that waits is woken. */
    @Override
    public void close() {
        call.cancel("closed", null);
    }

    private final class Receiver implements ClientResponseObserver<WatchAgentsRequest, WatchAgentsReply> {
        @Override
        public void beforeStart(ClientCallStreamObserver<WatchAgentsRequest> stream) {
            call = stream;
            stream.disableAutoRequestWithInitial(1);
        }

        @Override
        public void onNext(WatchAgentsReply message) {
            arrived.add(message);
        }

        @Override
        public void onError(Throwable error) {
            arrived.add(Status.fromThrowable(error));
        }

        @Override
        public void onCompleted() {
            arrived.add(END);
        }
    }
}
