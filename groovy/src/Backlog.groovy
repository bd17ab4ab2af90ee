import groovy.transform.CompileStatic
import hudson.model.Label
import hudson.model.Queue
import hudson.model.Queue.BuildableItem

/** Waiting builds by what they ask for. Queues are long and labels few: an item is touched once, all else is by label. */
@CompileStatic
class Backlog {
    /** By the label's key; null for builds that name none. */
    private final Map<Object, Label> labels = [:]
    private final Map<Object, List<BuildableItem>> items = [:]

    /** What only other brokers serve, or null: to be matched first, for their agents are not counted on for ours. */
    private final Backlog others
    /** Builds that are not in the queue, and may be soon. */
    private final Map<Object, Integer> expected = [:]

    /** Of all these items those whose label `served` (of a label) accepts; the label with the oldest item comes first. */
    Backlog(Collection<BuildableItem> all, Closure<Boolean> served, Backlog others = null) {
        this.others = others
        List<BuildableItem> sorted = new ArrayList<>(all)
        Collections.sort(sorted) { BuildableItem a, BuildableItem b -> Long.compare(a.id, b.id) }
        Set<Object> unserved = new HashSet<>()
        for (BuildableItem item : sorted) {
            Label label = item.assignedLabel
            Object key = key(label)
            List<BuildableItem> same = items.get(key)
            if (same == null && !unserved.contains(key)) {
                if (served.call(label)) {
                    same = new ArrayList<BuildableItem>()
                    items.put(key, same)
                    labels.put(key, label)
                } else {
                    unserved.add(key)
                }
            }
            if (same != null) {
                same.add(item)
            }
        }
    }

    static Object key(Label label) {
        label == null ? '' : label.name
    }

    /** Those that no executor has yet. */
    static List<BuildableItem> waiting(Collection<BuildableItem> all) {
        List<BuildableItem> found = new ArrayList<>(all.size())
        for (BuildableItem item : all) {
            if (!item.isPending()) {
                found.add(item)
            }
        }
        found
    }

    /** From now on one build more counts as waiting for a label: in `allCounts` alone, for it has no item. */
    void expect(Label label) {
        Object key = key(label)
        Integer before = expected.get(key)
        expected.put(key, (before == null ? 0 : before) + 1)
        if (!labels.containsKey(key)) {
            labels.put(key, label)
        }
    }

    Collection<Object> getKeys() {
        items.keySet()
    }

    Label label(Object key) {
        labels.containsKey(key) || others == null ? labels.get(key) : others.label(key)
    }

    /** Oldest first; empty for a key that nobody waits for. */
    List<BuildableItem> of(Object key) {
        List<BuildableItem> found = items.get(key)
        found == null ? new ArrayList<BuildableItem>() : found
    }

    /** As `of`, without what may not start before Jenkins has shut down or goes on. */
    List<BuildableItem> startable(Object key) {
        List<BuildableItem> found = new ArrayList<>()
        for (BuildableItem item : of(key)) {
            if (!Queue.isBlockedByShutdown(item.task)) {
                found.add(item)
            }
        }
        found
    }

    /** key → how many wait. */
    Map<Object, Integer> getCounts() {
        Map<Object, Integer> counts = [:]
        for (Map.Entry<Object, List<BuildableItem>> entry : items.entrySet()) {
            counts.put(entry.key, entry.value.size())
        }
        counts
    }

    /** The same, with what only others serve before it, and what is expected. */
    Map<Object, Integer> getAllCounts() {
        Map<Object, Integer> all = others == null ? new LinkedHashMap<Object, Integer>() : others.counts
        all.putAll(counts)
        for (Map.Entry<Object, Integer> entry : expected.entrySet()) {
            Integer before = all.get(entry.key)
            all.put(entry.key, (before == null ? 0 : before) + entry.value)
        }
        all
    }
}
