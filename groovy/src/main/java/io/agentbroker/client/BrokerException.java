package io.agentbroker.client;

import io.grpc.Status;

/** A call that failed: the gRPC status by name, and one line for people. */
public final class BrokerException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final String code;
    private final String what;

    private BrokerException(String code, String what, String message, Throwable cause) {
        super(message, cause);
        this.code = code;
        this.what = what;
    }

    /** The name of the gRPC status, such as UNAVAILABLE or UNAUTHENTICATED. */
    public String getCode() {
        return code;
    }

    /** Whether the same call may succeed later without anybody changing it. */
    public boolean isTemporary() {
        return switch (code) {
            case "UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "ABORTED", "UNKNOWN", "INTERNAL" -> true;
            case "RESOURCE_EXHAUSTED" -> !isTooLarge(); // a server that has too much to do
            default -> false;
        };
    }

    /** Whether a message was larger than the other side takes: gRPC has no status of its own for that, only words. */
    public boolean isTooLarge() {
        return code.equals("RESOURCE_EXHAUSTED")
                && (getMessage().contains("larger than max") || getMessage().contains("exceeds maximum size"));
    }

    /** In two words: not reachable, not trusted, refused us, or not asked, for something must be mended here first. */
    public String getWhat() {
        return what;
    }

    static BrokerException from(Status status, Trouble.Way way) {
        Trouble trouble = Trouble.of(status, way);
        return new BrokerException(status.getCode().name(), trouble.what(), trouble.words(), status.asRuntimeException());
    }
}
