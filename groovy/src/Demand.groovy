/**
 * How many waiting builds no agent is there for, or on its way for. Pure: labels and kinds of agents are opaque keys.
 *
 * Builds are matched one to one with free places: a place that could serve two kinds of builds is counted once, and a
 * build is left over only if no assignment could serve it (a maximum flow; a first-come match would ask for too many).
 */
class Demand {
    private final Map<Object, Integer> places
    private final Closure<Boolean> serves
    private final Map<Object, Map<Object, Integer>> matched = [:]

    private Demand(Map<Object, Integer> places, Closure<Boolean> serves) {
        this.places = new LinkedHashMap(places)
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
        waiting.each { label, count ->
            int missing = demand.match(label, count)
            if (missing > 0) {
                left[label] = missing
            }
        }
        left
    }

    private int match(Object label, int count) {
        int missing = count
        while (missing > 0) {
            List path = pathToFreePlace(label)
            if (path == null) {
                return missing
            }
            missing -= push(path, missing)
        }
        0
    }

    /** label, kind, label, kind …: each label could move builds of its own from the next kind's place; the last is free. */
    private List pathToFreePlace(Object start) {
        Deque<List> open = new ArrayDeque<>([[start]])
        Set seen = new HashSet()
        while (!open.empty) {
            List path = open.poll()
            for (Object kind : places.keySet()) {
                if (!seen.contains(kind) && serves.call(path.last(), kind)) {
                    seen << kind
                    if (places[kind] > 0) {
                        return path + [kind]
                    }
                    matched.each { label, byKind ->
                        if ((byKind[kind] ?: 0) > 0) {
                            open << (path + [kind, label])
                        }
                    }
                }
            }
        }
        null
    }

    private int push(List path, int wanted) {
        int amount = Math.min(wanted, places[path.last()] as int)
        for (int i = 1; i + 1 < path.size(); i += 2) {
            amount = Math.min(amount, matched[path[i + 1]][path[i]] as int)
        }
        for (int i = 0; i + 1 < path.size(); i += 2) {
            add(path[i], path[i + 1], amount)
            if (i + 2 < path.size()) {
                add(path[i + 2], path[i + 1], -amount)
            }
        }
        places[path.last()] -= amount
        amount
    }

    private void add(Object label, Object kind, int amount) {
        Map<Object, Integer> byKind = matched.computeIfAbsent(label) { [:] }
        byKind[kind] = (byKind[kind] ?: 0) + amount
    }
}
