package hudson.model;

import hudson.model.labels.LabelAtom;
import hudson.slaves.NodeProvisioner;
import java.util.Arrays;
import java.util.Collection;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import jenkins.model.Jenkins;

/** Atoms joined by &&, with ! before some: all that the tests ask for. */
public abstract class Label implements Comparable<Label> {
    private static final Map<String, Label> EXPRESSIONS = new ConcurrentHashMap<>();

    public final transient NodeProvisioner nodeProvisioner;
    protected final transient String name;

    protected Label(String name) {
        this.name = name;
        nodeProvisioner = new NodeProvisioner(this);
    }

    public static Set<LabelAtom> parse(String labels) {
        return Arrays.stream(labels.split(" ")).filter(word -> !word.isBlank()).map(LabelAtom::new)
                .collect(Collectors.toSet());
    }

    @io.agentbroker.testing.DoubleOnly
    public static Label expression(String text) {
        return EXPRESSIONS.computeIfAbsent(text, LabelAtom::new);
    }

    public final String getName() {
        return name;
    }

    public final boolean matches(Collection<LabelAtom> labels) {
        Set<String> names = labels.stream().map(LabelAtom::getName).collect(Collectors.toSet());
        return Arrays.stream(name.split(" && ")).allMatch(
                word -> word.startsWith("!") ? !names.contains(word.substring(1)) : names.contains(word));
    }

    public Set<LabelAtom> listAtoms() {
        return Arrays.stream(name.split(" && ")).map(word -> word.replaceFirst("^!", "")).map(LabelAtom::new).collect(Collectors.toSet());
    }

    /** As core, but for clouds. */
    public boolean isEmpty() {
        return getNodes().isEmpty();
    }

    public Set<Node> getNodes() {
        return Jenkins.get().getNodes().stream().filter(node -> matches(node.getAssignedLabels()))
                .collect(Collectors.toSet());
    }

    @Override
    public final boolean equals(Object other) {
        return other instanceof Label label && label.name.equals(name);
    }

    @Override
    public final int hashCode() {
        return name.hashCode();
    }

    @Override
    public final int compareTo(Label other) {
        return name.compareTo(other.name);
    }
}
