package io.agentbroker.client;

import io.grpc.ManagedChannel;
import io.grpc.okhttp.OkHttpChannelBuilder;
import java.util.logging.Logger;

/**
 * gRPC writes each frame with its headers and the beginning of its data to a logger of its own at FINE: bearer tokens
 * and agents' secrets. No level that anybody sets may bring that into a log.
 */
final class FrameLog {
    /** Kept, for the JVM forgets a logger that nobody holds, with its filter. */
    private static final Logger LOGGER =
            Logger.getLogger(OkHttpChannelBuilder.class.getPackageName() + ".OkHttpClientTransport");

    /** Says at WARNING, with a stack, that a host is not found, at each try: we say it once. */
    private static final Logger CHANNELS =
            Logger.getLogger(ManagedChannel.class.getPackageName() + ".internal.ManagedChannelImpl");

    private FrameLog() {}

    static void silence() {
        LOGGER.setFilter(record -> false);
        CHANNELS.setFilter(record -> record.getMessage() == null || !record.getMessage().contains("Failed to resolve name"));
    }
}
