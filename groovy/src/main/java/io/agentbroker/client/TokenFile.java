package io.agentbroker.client;

import io.grpc.CallCredentials;
import io.grpc.Metadata;
import io.grpc.Status;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Executor;

/** The bearer token of each call, read from its file each time. */
final class TokenFile extends CallCredentials {
    private static final Metadata.Key<String> AUTHORIZATION =
            Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

    private final Path path;

    TokenFile(String path) {
        this.path = Path.of(path);
    }

    @Override
    public void applyRequestMetadata(RequestInfo info, Executor executor, MetadataApplier applier) {
        try {
            Metadata headers = new Metadata();
            headers.put(AUTHORIZATION, "Bearer " + Files.readString(path).trim());
            applier.apply(headers);
        } catch (IOException error) {
            applier.fail(Status.UNAUTHENTICATED.withDescription("token file cannot be read: " + path));
        }
    }
}
