import groovy.transform.CompileStatic

/**
 * How many waiting builds no agent is there for, or on its way for. Pure: labels and kinds of agents are opaque keys.
 *
 * Builds are matched one to one with free places: a place that could serve two kinds of builds is counted once, and a
 * build is left over only if no assignment could serve it (a maximum flow; a first-come match would ask for too many).
 */
@CompileStatic
class Demand {
    private final Map<Object, Integer> places
    private final Closure<Boolean> serves
    /** label → the kinds that serve it: asked once a pair, for the search walks over them again and again. */
    private final Map<Object, List<Object>> kindsOf = [:]
    /** kind → label → builds of that label which have a place of that kind. */
    private final Map<Object, Map<Object, Integer>> matched = [:]

    private Demand(Map<Object, Integer> places, Closure<Boolean> serves) {
        this.places = new LinkedHashMap<>(places)
        this.serves = serves
    }

    /**
     * @param waiting label → builds that wait for it; the first label is served first
     * @param places kind of agent → builds that such agents can still take
     * @param serves (label, kind) → whether that kind may run builds of that label
     * @return label → builds left over; only labels that have some
     */
    static Map<Object, Integer> shortage(
            Map<Object, Integer> waiting, Map<Object, Integer> places, Closure<Boolean> serves) {
        Demand demand = new Demand(places, serves)
        Map<Object, Integer> left = [:]
        for (Map.Entry<Object, Integer> entry : waiting.entrySet()) {
            int missing = demand.match(entry.key, entry.value)
            if (missing > 0) {
                left.put(entry.key, missing)
            }
        }
        left
    }

    private int match(Object label, int count) {
        int missing = count
        while (missing > 0) {
            List<Object> path = pathToFreePlace(label)
            if (path == null) {
                return missing
            }
            missing -= push(path, missing)
        }
        0
    }

    private List<Object> kindsFor(Object label) {
        List<Object> kinds = kindsOf.get(label)
        if (kinds == null) {
            kinds = new ArrayList<Object>()
            for (Object kind : places.keySet()) {
                if (serves.call(label, kind)) {
                    kinds.add(kind)
                }
            }
            kindsOf.put(label, kinds)
        }
        kinds
    }

    /** label, kind, label, kind …: each label could move builds of its own from the next kind's place; the last is free. */
    private List<Object> pathToFreePlace(Object start) {
        Deque<List<Object>> open = new ArrayDeque<>()
        open.add([start] as List<Object>)
        Set<Object> seen = new HashSet<>()
        while (!open.isEmpty()) {
            List<Object> path = open.poll()
            for (Object kind : kindsFor(path.get(path.size() - 1))) {
                if (!seen.add(kind)) {
                    continue
                }
                if (places.get(kind) > 0) {
                    return longer(path, kind)
                }
                Map<Object, Integer> holders = matched.get(kind)
                if (holders != null) {
                    for (Map.Entry<Object, Integer> holder : holders.entrySet()) {
                        if (holder.value > 0) {
                            open.add(longer(longer(path, kind), holder.key))
                        }
                    }
                }
            }
        }
        null
    }

    private static List<Object> longer(List<Object> path, Object end) {
        List<Object> more = new ArrayList<Object>(path)
        more.add(end)
        more
    }

    private int push(List<Object> path, int wanted) {
        Object end = path.get(path.size() - 1)
        int amount = Math.min(wanted, places.get(end))
        for (int i = 1; i + 1 < path.size(); i += 2) {
            amount = Math.min(amount, matched.get(path.get(i)).get(path.get(i + 1)))
        }
        for (int i = 0; i + 1 < path.size(); i += 2) {
            add(path.get(i), path.get(i + 1), amount)
            if (i + 2 < path.size()) {
                add(path.get(i + 2), path.get(i + 1), -amount)
            }
        }
        places.put(end, places.get(end) - amount)
        amount
    }

    private void add(Object label, Object kind, int amount) {
        Map<Object, Integer> byLabel = matched.get(kind)
        if (byLabel == null) {
            byLabel = new HashMap<Object, Integer>()
            matched.put(kind, byLabel)
        }
        Integer before = byLabel.get(label)
        byLabel.put(label, (before == null ? 0 : before) + amount)
    }
}
