import hudson.model.Queue
import jenkins.model.Jenkins

/** What this controller's other brokers have to do with the shortage of one: a build is served by one of them. */
class Neighbours {
    /**
     * Builds that only others serve, and so to be matched first: their agents are not counted on for ours. Empty, and
     * without a look at the queue, when there is one broker.
     */
    static List<Queue.BuildableItem> waiting(Fleet fleet) {
        if (!fleet.neighbours) {
            return []
        }
        Map<Object, Boolean> theirs = [:]
        Jenkins.get().queue.buildableItems.findAll { item ->
            !item.pending && theirs.computeIfAbsent(Fleet.key(item.assignedLabel)) {
                fleet.policyFor(item.assignedLabel) == null &&
                        fleet.neighbours.any { it.policyFor(item.assignedLabel) != null }
            }
        }
    }

    /** The agents of others that are there or on their way. */
    static List<BrokerAgent> coming(Fleet fleet) {
        fleet.neighbours.collectMany { it.all() }.findAll { !it.stalled }
    }
}
