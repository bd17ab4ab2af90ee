package io.agentbroker.client;

import io.grpc.CallCredentials;
import io.grpc.Metadata;
import io.grpc.Status;
import java.nio.file.Path;
import java.util.concurrent.Executor;

/** The bearer token of each call, read from its file each time. A file that is open to others is not used. */
final class TokenFile extends CallCredentials {
    private static final Metadata.Key<String> AUTHORIZATION =
            Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

    private final PrivateFile file;

    TokenFile(String path) {
        file = new PrivateFile("token_file", Path.of(path));
    }

    @Override
    public void applyRequestMetadata(RequestInfo info, Executor executor, MetadataApplier applier) {
        try {
            Metadata headers = new Metadata();
            headers.put(AUTHORIZATION, "Bearer " + file.word());
            applier.apply(headers);
        } catch (PrivateFile.Refused error) {
            applier.fail(Status.UNAUTHENTICATED.withDescription(error.getMessage()).withCause(error));
        } catch (RuntimeException error) { // else the call would wait for ever
            applier.fail(Status.UNAUTHENTICATED.withDescription("token_file cannot be used: " + error.getClass().getName()));
        }
    }
}
