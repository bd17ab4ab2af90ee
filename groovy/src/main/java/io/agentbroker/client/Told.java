package io.agentbroker.client;

import com.google.protobuf.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Pattern;

/**
 * What a broker says, held to what agents.proto allows: the one place where its words become ours. What cannot be used
 * is left out, and said in {@link #leftOut()}; texts lose what is not for people; numbers and lists are bounded.
 */
final class Told {
    /** The bounds of agents.proto, and of the broker's own config. */
    static final int MOST_AGENTS = 10_000;

    static final int MOST_POLICIES = 1_000;
    static final int MOST_WANTED = 1_000;
    static final int MOST_LABELS = 1_000;
    static final int MOST_FAILURES = 20;
    static final long MOST_EXECUTORS = 1_000;
    static final long MOST_USES = Integer.MAX_VALUE;

    private static final int LONGEST_LINE = 300;
    private static final int LONGEST_TEXT = 16_000;
    private static final int LONGEST_URL = 2_000;
    private static final int MOST_REMARKS = 3;
    private static final double LONGEST_S = 3650d * 86_400;
    /** As Jenkins makes them: prefix-random. A name is a label too, so no other name may come from outside. */
    private static final Pattern AGENT = Pattern.compile("[A-Za-z0-9][A-Za-z0-9-]{0,53}-[a-z0-9]{8}");

    private static final Pattern PREFIX = Pattern.compile("[A-Za-z0-9][A-Za-z0-9-]{0,23}");
    private static final Pattern CODE = Pattern.compile("[A-Za-z][A-Za-z0-9_.-]{0,59}");
    /** What Jenkins takes for one label: see the grammar of its label expressions. */
    private static final Pattern LABEL = Pattern.compile("(?:-(?!>)|[^-&|!<>()\\s\"'\\p{Cntrl}]){1,300}");

    private static final Pattern URL = Pattern.compile("https?://[^\\s\"'<>\\\\\\p{Cntrl}]+");
    private static final Pattern ESCAPE_SEQUENCE = Pattern.compile("\u001b(?:\\[[0-9;?]*[ -/]*[@-~]|\\][^\u0007\u001b]*(?:\u0007|\u001b\\\\)?|.)?");
    /** Controls, and what turns the direction of writing or hides. */
    private static final Pattern UNSEEN =
            Pattern.compile("[\\p{Cc}\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\\p{Cs}&&[^\n\t]]");

    private final List<String> remarks = new ArrayList<>();
    private int more;

    /** One line of at most 300 characters. */
    static String line(String text) {
        return cut(seen(head(text, LONGEST_TEXT)).strip().lines().findFirst().orElse("").replace('\t', ' '), LONGEST_LINE);
    }

    /** Lines, of at most 16 000 characters together. */
    static String text(String text) {
        return seen(head(text, LONGEST_TEXT));
    }

    /** A word of ours, such as a phase or the code of a reason; empty for anything else. */
    static String code(String text) {
        return CODE.matcher(text).matches() ? text : "";
    }

    /** Of http or https, for a link; empty for anything else. */
    static String url(String text) {
        return text.length() <= LONGEST_URL && URL.matcher(text).matches() ? text : "";
    }

    static long number(int unsigned, long least, long most) {
        return Math.max(least, Math.min(most, Integer.toUnsignedLong(unsigned)));
    }

    /** At least 0 and at most ten years. */
    static double seconds(Duration duration) {
        return Math.max(0d, Math.min(LONGEST_S, duration.getSeconds() + duration.getNanos() / 1e9));
    }

    /** A name that an agent may have: what else Jenkins knows by its name is none. */
    static boolean isAgent(String name) {
        return AGENT.matcher(name).matches();
    }

    /** The prefix of agents' names that a policy asks for, else one made of its name. */
    static String prefix(String asked, String policy) {
        String made = policy.replaceAll("[^A-Za-z0-9-]", "-");
        made = made.substring(0, Math.min(24, made.length()));
        return PREFIX.matcher(asked).matches() ? asked : PREFIX.matcher(made).matches() ? made : "agent";
    }

    static String remoteFs(String path) {
        return path.length() <= LONGEST_URL && seen(path).equals(path) && !path.isBlank() ? path : "";
    }

    List<String> labels(Collection<String> labels) {
        return only("labels", labels, MOST_LABELS, label -> LABEL.matcher(label).matches() ? null : "is no label");
    }

    List<String> agentNames(String field, Collection<String> names, Set<String> asked) {
        return only(field, names, MOST_AGENTS, name -> asked.contains(name) ? null : "was not asked about");
    }

    /** Those of the entries that have nothing wrong, by their key; of one key the first. */
    <T> List<T> only(String field, Collection<T> entries, int most, Function<T, String> wrong) {
        return only(field, entries, most, wrong, entry -> entry);
    }

    <T> List<T> only(String field, Collection<T> entries, int most, Function<T, String> wrong, Function<T, Object> key) {
        List<T> kept = new ArrayList<>();
        Set<Object> seen = new HashSet<>();
        for (T entry : entries) {
            Object name = key.apply(entry);
            String why = kept.size() >= most ? "is one more than " + most : wrong.apply(entry);
            why = why == null && !seen.add(name) ? "is there twice" : why;
            if (why == null) {
                kept.add(entry);
            } else {
                leaveOut(field + " \"" + cut(line(String.valueOf(name)), 60) + "\" " + why);
            }
        }
        return List.copyOf(kept);
    }

    void leaveOut(String remark) {
        if (remarks.size() < MOST_REMARKS) {
            remarks.add(remark);
        } else {
            more++;
        }
    }

    /** What was left out, for people; empty when nothing was. */
    String leftOut() {
        return String.join(", ", remarks) + (more > 0 ? " and " + more + " more" : "");
    }

    /** The same map with what was left out beside. */
    Map<String, Object> beside(Map<String, Object> reply) {
        Map<String, Object> all = new java.util.HashMap<>(reply);
        all.put("left_out", leftOut());
        return Map.copyOf(all);
    }

    private static String seen(String text) {
        return UNSEEN.matcher(ESCAPE_SEQUENCE.matcher(text.replace("\r\n", "\n")).replaceAll("")).replaceAll("");
    }

    private static String head(String text, int most) {
        return text == null ? "" : text.substring(0, Math.min(most, text.length()));
    }

    private static String cut(String text, int most) {
        return text.length() <= most ? text : text.substring(0, most - 1) + "…";
    }
}
