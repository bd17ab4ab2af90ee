package io.agentbroker.client;

import io.grpc.Status;
import io.grpc.StatusRuntimeException;

/** A call that failed: the gRPC status by name, and one line for people. */
public final class BrokerException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final String code;

    private BrokerException(String code, String message, Throwable cause) {
        super(message, cause);
        this.code = code;
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

    static BrokerException from(StatusRuntimeException error) {
        return from(error.getStatus());
    }

    static BrokerException from(Status status) {
        return new BrokerException(status.getCode().name(), words(status), status.asRuntimeException());
    }

    private static String words(Status status) {
        return switch (status.getCode()) {
            case UNAVAILABLE -> innermost(status);
            case DEADLINE_EXCEEDED -> "no answer in time";
            default -> status.getDescription() == null ? status.getCode().name() : status.getDescription();
        };
    }

    private static String innermost(Status status) {
        Throwable cause = status.getCause();
        while (cause != null && cause.getCause() != null && cause.getCause() != cause) {
            cause = cause.getCause();
        }
        String text = cause == null ? status.getDescription() : cause.getMessage();
        return text == null || text.isBlank() ? "unavailable" : text.lines().findFirst().orElse("unavailable");
    }
}
