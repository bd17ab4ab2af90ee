import hudson.model.Label
import hudson.model.Queue
import hudson.slaves.Cloud
import java.util.concurrent.Callable
import jenkins.model.Jenkins

/** Cancels the build that waits for an agent whose policy says that a build does not wait for longer. */
class Overdue {
    /**
     * One build for one agent that ends (a removal of the broker's reply): the one that it was asked for, if that waits
     * still; else the oldest that could run on such agents alone and has no other. The reason is said in the system log,
     * in the node's log and, where a build has one while it waits, in the build's own. On the worker thread.
     */
    static void cancelBuild(Map removal, Fleet fleet) {
        BrokerAgent agent = fleet.agent(removal.name)
        Queue.Item item = agent == null || agent.gone ? null : itemOf(agent, fleet)
        if (item == null) {
            return
        }
        String job = item.task.ownerTask.fullDisplayName
        String reason = [removal.reason, Words.line(removal.message)].findAll().unique().join(': ')
        fleet.aborted.expect(item.id)
        if (cancel(item, removal, fleet)) {
            Log.info("${job} was cancelled in the queue (its agent was ${agent.nodeName}): ${reason}")
            agent.journal.note("${job} was cancelled in the queue: ${reason}".toString())
        } else {
            fleet.aborted.expectNoMore(item.id)
        }
    }

    private static boolean cancel(Queue.Item item, Map removal, Fleet fleet) {
        if (isWaiting(Jenkins.get().queue.getItem(item.id))) {
            tellBuild(fleet, item, removal)
        }
        Queue.withLock({
            Queue.Item now = Jenkins.get().queue.getItem(item.id) // it may have begun, or be another object by now
            isWaiting(now) && Jenkins.get().queue.cancel(now)
        } as Callable)
    }

    /** While it waits its log can be written; once it is cancelled that has ended. */
    private static void tellBuild(Fleet fleet, Queue.Item item, Map removal) {
        try {
            fleet.buildLog?.cancelling(item, removal.reason, removal.message)
        } catch (Exception failure) {
            Log.fine("a build that is cancelled could not be told why: ${failure}")
        }
    }

    private static boolean isWaiting(Queue.Item item) {
        item != null && !(item instanceof Queue.LeftItem) && !(item instanceof Queue.BuildableItem && item.pending)
    }

    private static Queue.Item itemOf(BrokerAgent agent, Fleet fleet) {
        Queue.Item own = agent.itemId > 0 ? Jenkins.get().queue.getItem(agent.itemId) : null
        if (isWaiting(own)) {
            return own
        }
        Backlog waiting = fleet.backlog()
        Map<List, Integer> others = Fleet.placesOf(fleet.all().findAll { !it.is(agent) })
        Collection alone = fleet.shortageBeside(waiting, others).keySet().intersect(waiting.keys).findAll {
            onlyServedBy(agent, waiting.label(it), fleet)
        }
        // Only one that has waited as long: a younger one may have been counted on this agent when it came.
        alone.collect { key -> waiting.of(key).find { it.inQueueSince <= agent.askedAt } }.findAll().min { it.id }
    }

    /** Neither another of our policies nor a node or cloud that is not ours could run it. */
    private static boolean onlyServedBy(BrokerAgent agent, Label label, Fleet fleet) {
        List<String> overrides = Overrides.of(label)
        boolean ours = Fleet.serves(agent.kind, label) &&
                fleet.policies.every { it.kindFor(overrides) == agent.kind || !it.serves(label) }
        Cloud.CloudState state = new Cloud.CloudState(label, 0)
        ours && label != null && label.nodes.every { it.class.name == 'BrokerAgent' } &&
                !Jenkins.get().clouds.any { it.class.name != 'BrokerCloud' && it.canProvision(state) }
    }
}
