import hudson.model.Label
import hudson.model.Queue

/** What this controller's other brokers have to do with the shortage of one: a build is served by one of them. */
class Neighbours {
    /** Those of these items that only others serve; null, and without a look at them, when there is one broker. */
    static Backlog waiting(Fleet fleet, List<Queue.BuildableItem> items) {
        fleet.neighbours ? new Backlog(items, { Label label ->
            fleet.policyFor(label) == null && fleet.neighbours.any { it.policyFor(label) != null }
        }) : null
    }

    /** These places of ours (by kind), and those of the agents of others that are there or on their way. */
    static Map<List, Integer> coming(Fleet fleet, Map<List, Integer> ours) {
        if (!fleet.neighbours) {
            return ours
        }
        Map<List, Integer> all = Fleet.placesOf(fleet.neighbours.collectMany { it.all() }.findAll { !it.stalled })
        ours.each { kind, places -> all[kind] = (all[kind] ?: 0) + places }
        all
    }
}
