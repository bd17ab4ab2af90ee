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
            if (fleet.policyFor(item.assignedLabel) != null) {
                fleet.reviewSoon(item.assignedLabel)
            }
            BrokerAgent agent = fleet.agent(item.assignedLabel?.name ?: '')
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
                fleet.link.syncSoon() // an agent that waits for room may be needed no more
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
