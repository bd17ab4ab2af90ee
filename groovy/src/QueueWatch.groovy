import hudson.model.Label
import hudson.model.Queue
import hudson.model.queue.QueueListener

/** A build that becomes buildable gets a review at once instead of at the next tick, up to 10 s later. */
class QueueWatch extends QueueListener {
    private final Fleet fleet

    QueueWatch(Fleet fleet) {
        this.fleet = fleet
    }

    @Override
    void onEnterBuildable(Queue.BuildableItem item) {
        guarded {
            Label label = item.assignedLabel
            if (fleet.policyFor(label) != null) {
                fleet.reviewSoon(label)
            }
            BrokerAgent agent = fleet.agent(label?.name ?: '')
            if (agent?.isResumption(item)) {
                agent.resumes = true
                fleet.link.syncSoon()
            }
        }
    }

    @Override
    void onLeft(Queue.LeftItem item) {
        guarded {
            fleet.buildLog?.left(item)
            if (item.cancelled && fleet.policyFor(item.assignedLabel) != null) {
                fleet.aborted.left(item)
                fleet.link.syncSoon()
            }
        }
    }

    private static void guarded(Closure action) {
        try {
            action.call()
        } catch (Throwable failure) {
            Log.fine("a queue event was lost: ${failure}")
        }
    }
}
