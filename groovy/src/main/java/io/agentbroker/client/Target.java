package io.agentbroker.client;

import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.okhttp.OkHttpChannelBuilder;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.concurrent.TimeUnit;

/** Where the broker listens. */
record Target(String host, int port) {
    private static final int MAX_MESSAGE_BYTES = 4 << 20; // the bound that agents.proto names

    static Target parse(String text) {
        int colon = text == null ? -1 : text.lastIndexOf(':');
        if (colon < 1) {
            throw new IllegalArgumentException("broker must be HOST:PORT, not \"" + text + "\"");
        }
        String host = text.substring(0, colon).replace("[", "").replace("]", "");
        try {
            return new Target(host, Integer.parseInt(text.substring(colon + 1).trim()));
        } catch (NumberFormatException error) {
            throw new IllegalArgumentException("broker must be HOST:PORT, not \"" + text + "\"", error);
        }
    }

    ManagedChannel plaintext() {
        if (!isLoopback()) {
            throw new IllegalArgumentException("tls=false is for loopback addresses only; " + host + " is none");
        }
        return tuned(OkHttpChannelBuilder.forAddress(host, port).usePlaintext());
    }

    ManagedChannel secure(TlsFiles files) {
        return tuned(OkHttpChannelBuilder.forAddress(host, port, files.credentials()));
    }

    private static ManagedChannel tuned(ManagedChannelBuilder<?> builder) {
        return builder.maxInboundMessageSize(MAX_MESSAGE_BYTES)
                .keepAliveTime(30, TimeUnit.SECONDS)
                .keepAliveTimeout(10, TimeUnit.SECONDS)
                .disableRetry()
                .build();
    }

    private boolean isLoopback() {
        try {
            return InetAddress.getByName(host).isLoopbackAddress();
        } catch (UnknownHostException error) {
            return false;
        }
    }
}
