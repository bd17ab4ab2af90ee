import hudson.model.Node
import jenkins.model.Jenkins

/** What may become a node because the broker says so: nothing that takes builds which its policy does not serve. */
class Adoption {
    /** As many nodes as one sync may tell of. */
    static final int MOST = 10_000

    /** Whether an agent may have a node of its name. A node's name is a label: one that other nodes carry is theirs. */
    static boolean isAllowed(String name, Fleet fleet) {
        if (fleet.all().size() >= MOST) {
            Log.fine("${name} gets no node: there are ${MOST} already")
            return false
        }
        Set<Node> others = Jenkins.get().getLabelAtom(name).nodes
        if (others) {
            Log.fine("${name} gets no node: it is a label of ${others*.nodeName}")
        }
        !others
    }

    /** Those of an agent's labels that its policy has; none without the policy, for then it takes no new build. */
    static List<String> labels(Map told, Policy policy) {
        policy == null ? [] : told.labels.findAll { policy.labels.contains(it) }
    }

    /** What its build had asked for itself: a node with these serves such builds alone. */
    static List<String> overrides(Map told) {
        (told.override_labels ?: []).findAll { Overrides.isOne(it) }.toSorted().unique()
    }
}
