import hudson.model.Label
import hudson.model.Queue

/** Labels of waiting builds that nothing serves: no policy of any broker, no node and no cloud. Of the link's thread alone. */
class Unmatched {
    private static final int MOST_LABELS = 100
    /** As agents are named: a step that waits for the node it ran on before asks for no label. */
    private static final String OLD_NODE = /[A-Za-z0-9][A-Za-z0-9-]*-[a-z0-9]{8}/

    private final Fleet fleet
    /** Builds that the broker has been told of. */
    private Set<Long> told = new HashSet<>()
    /** With those of the list that is on its way. */
    private Set<Long> telling = new HashSet<>()

    Unmatched(Fleet fleet) {
        this.fleet = fleet
    }

    /** One map a label, those with the most builds; each build is fresh until a list with it has arrived. */
    List<Map> list(List<Queue.BuildableItem> waiting) {
        telling = new HashSet<>()
        long now = System.currentTimeMillis()
        Map<Object, List<Queue.BuildableItem>> byLabel = unserved(waiting)
        byLabel.entrySet().toSorted { -it.value.size() }.take(MOST_LABELS).collect { entry ->
            List<Queue.BuildableItem> items = entry.value
            telling.addAll(items*.id)
            [label_expression: entry.key, length: items.size(), fresh: items.count { !told.contains(it.id) },
             oldest_age: Math.max(0L, now - items*.buildableStartMilliseconds.min()) / 1000d]
        }
    }

    /** The last list has arrived. */
    void arrived() {
        told = telling
    }

    private Map<Object, List<Queue.BuildableItem>> unserved(List<Queue.BuildableItem> waiting) {
        Backlog.waiting(waiting).groupBy { Fleet.key(it.assignedLabel) }.findAll { key, items -> isUnserved(items[0]) }
    }

    /** Other plugins are asked for it: one that fails is no reason for a sync to fail. */
    private boolean isUnserved(Queue.BuildableItem item) {
        Label label = item.assignedLabel
        try {
            if (([fleet] + fleet.neighbours).any { it.policyFor(label) != null } || Partners.othersServe(label)) {
                return false
            }
            !(label?.name ==~ OLD_NODE && RunListener.has(item.task))
        } catch (Throwable failure) {
            Log.fine("whether anything runs builds of ${label?.name ?: 'no label'} is not known: ${failure}")
            false
        }
    }
}
