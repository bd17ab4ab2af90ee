package io.agentbroker.client;

import io.grpc.Status;
import java.net.UnknownHostException;
import java.security.cert.CertificateExpiredException;
import java.security.cert.CertificateNotYetValidException;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Predicate;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLPeerUnverifiedException;

/** What a failed call means, for people: `what` in two words, `words` with the setting and what to do, on one line. */
record Trouble(String what, String words) {
    private static final String NOT_REACHABLE = "not reachable";
    private static final String NOT_TRUSTED = "not trusted";
    private static final String REFUSED_US = "refused us";
    private static final String NOT_ASKED = "not asked";

    /** With what a connection was made, so that words can name it; and whether the other side has ever answered on it. */
    record Way(Target target, boolean tls, TlsFiles files, String tokenFile, AtomicBoolean answered) {}

    static Trouble of(Status status, Way way) {
        List<Throwable> causes = causes(status.getCause());
        return switch (status.getCode()) {
            case UNAVAILABLE -> unavailable(status, causes, way);
            case DEADLINE_EXCEEDED -> new Trouble(NOT_REACHABLE, "no answer in time");
            case UNAUTHENTICATED -> causes.stream().anyMatch(PrivateFile.Refused.class::isInstance)
                    ? new Trouble(NOT_ASKED, line(status.getDescription()))
                    : new Trouble(REFUSED_US, description(status)
                            + "; token_file=" + way.tokenFile() + " must hold the token that its token_sha256 belongs to");
            case UNKNOWN, INTERNAL, UNIMPLEMENTED -> isHttp(status)
                    ? new Trouble(NOT_REACHABLE, "what answers there is no broker's API (" + description(status)
                            + "); broker= names HOST:PORT of its server.grpc.listen")
                    : new Trouble(status.getCode() == Status.Code.UNIMPLEMENTED ? REFUSED_US : NOT_REACHABLE,
                            description(status));
            default -> new Trouble(isPassing(status) ? NOT_REACHABLE : REFUSED_US, description(status));
        };
    }

    private static boolean isPassing(Status status) {
        return switch (status.getCode()) {
            case CANCELLED, ABORTED -> true;
            case RESOURCE_EXHAUSTED -> !description(status).contains("exceeds maximum size"); // it has too much to do
            default -> false;
        };
    }

    private static Trouble unavailable(Status status, List<Throwable> causes, Way way) {
        String tls = way.tls() ? tlsWords(causes, way) : null;
        if (tls != null) {
            return new Trouble(NOT_TRUSTED, tls);
        }
        if (has(causes, UnknownHostException.class::isInstance)) {
            return new Trouble(NOT_REACHABLE, "no such host: " + way.target().host() + "; broker= names HOST:PORT");
        }
        if (has(causes, cause -> says(cause, "Unsupported or unrecognized SSL message", "plaintext connection"))) {
            return new Trouble(NOT_REACHABLE,
                    "what answers there speaks no TLS; server.grpc.tls of the broker, or broker= and tls= here, are wrong");
        }
        String words = causes.isEmpty() ? description(status) : line(causes.get(causes.size() - 1).getMessage());
        boolean cut = words.contains("End of stream")
                || has(causes, cause -> says(cause, "End of stream", "not found: limit", "Connection reset", "EOF", "Broken pipe"));
        return new Trouble(NOT_REACHABLE, cut && !way.answered().get() ? words + whyCut(way) : words);
    }

    /** Of TLS 1.3 the refusal of a certificate is often lost with the connection: what is left to say is what may be. */
    private static String whyCut(Way way) {
        return way.tls()
                ? "; if server.grpc.tls of the broker has client_ca_file, it does not take our certificate: "
                        + way.files().certSetting()
                : "; if it speaks TLS, tls=true is needed";
    }

    /** Null when TLS is not the trouble. */
    private static String tlsWords(List<Throwable> causes, Way way) {
        String known = way.files().caSetting();
        String now = "here it is " + Instant.now().truncatedTo(ChronoUnit.SECONDS);
        for (Throwable cause : causes) {
            if (cause instanceof CertificateExpiredException) {
                return "the broker's certificate has expired (" + line(cause.getMessage()) + ", " + now
                        + "); renew server.grpc.tls.cert_file of the broker";
            }
            if (cause instanceof CertificateNotYetValidException) {
                return "the broker's certificate is not valid yet (" + line(cause.getMessage()) + ", " + now
                        + "); one of the clocks is wrong, or server.grpc.tls.cert_file of the broker is";
            }
        }
        if (has(causes, cause -> cause instanceof SSLPeerUnverifiedException || says(cause, "Cannot verify hostname",
                "No subject alternative", "No name matching"))) {
            return "the broker's certificate is not for \"" + way.target().host()
                    + "\"; broker= must name it as the certificate does (its subject alternative names)";
        }
        if (has(causes, cause -> says(cause, "certification path", "path validation", "path building", "No trusted certificate",
                "trustAnchors", "Signature does not match"))) {
            return "the broker's certificate is of an authority that is not in " + known
                    + "; it must hold the one that issued server.grpc.tls.cert_file of the broker";
        }
        if (has(causes, cause -> says(cause, "certificate_required", "bad_certificate", "unknown_ca", "certificate_unknown",
                "certificate_expired", "CERTIFICATE_REQUIRED"))) {
            return "the broker wants a certificate of ours, and does not take " + way.files().certSetting()
                    + "; it must be of an authority in server.grpc.tls.client_ca_file of the broker";
        }
        return null;
    }

    private static boolean isHttp(Status status) {
        String text = status.getDescription();
        return text != null && (text.contains("HTTP status") || text.contains("content-type") || text.contains("http2 exception"));
    }

    private static boolean has(List<Throwable> causes, Predicate<Throwable> what) {
        return causes.stream().anyMatch(what);
    }

    private static boolean says(Throwable cause, String... words) {
        String text = cause.getMessage();
        for (String word : words) {
            if (text != null && text.contains(word)) {
                return true;
            }
        }
        return false;
    }

    private static List<Throwable> causes(Throwable first) {
        List<Throwable> found = new ArrayList<>();
        for (Throwable cause = first; cause != null && !found.contains(cause) && found.size() < 20; cause = cause.getCause()) {
            found.add(cause);
            if (cause instanceof SSLException) { // what went wrong first may only be beside it
                found.addAll(List.of(cause.getSuppressed()));
            }
        }
        return found;
    }

    private static String description(Status status) {
        String text = line(status.getDescription());
        return text.equals("unavailable") && status.getCode() != Status.Code.UNAVAILABLE ? status.getCode().name() : text;
    }

    private static String line(String text) {
        String line = Told.line(text);
        return line.isEmpty() ? "unavailable" : line;
    }
}
